/* The elements of BYTES tensors, read and written without a step of Python for each.
 *
 * Built by scripts/compile_elements.py where that is asked for. headrace/bytes_elements.py and the codec of
 * texts do the same without it. Only Python's limited API is used: one build serves all versions from 3.11.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>
#include <string.h>

#define LENGTH_BYTES 4

static uint32_t length_at(const uint8_t *place) {
    return (uint32_t)place[0] | (uint32_t)place[1] << 8 | (uint32_t)place[2] << 16
        | (uint32_t)place[3] << 24;
}

typedef struct {
    uint32_t shortest, widest;
    int whole; /* exactly so many elements, to the last byte */
    int plain; /* of ASCII, and none has a NUL */
} Shape;

static Shape shape_of(const uint8_t *at, Py_ssize_t size, Py_ssize_t count) {
    Shape shape = {UINT32_MAX, 0, 0, 0};
    const uint8_t *end = at + size;
    uint8_t high = 0, nul = 0;
    for (Py_ssize_t each = 0; each < count; each++) {
        if (end - at < LENGTH_BYTES) return shape;
        uint32_t length = length_at(at);
        at += LENGTH_BYTES;
        if ((size_t)(end - at) < length) return shape;
        for (uint32_t place = 0; place < length; place++) {
            high |= at[place];
            nul |= at[place] == 0;
        }
        if (length < shape.shortest) shape.shortest = length;
        if (length > shape.widest) shape.widest = length;
        at += length;
    }
    shape.whole = at == end;
    shape.plain = high < 0x80 && !nul;
    return shape;
}

/* Characters of four bytes each, with NULs behind the shorter texts, as numpy has them. */
static void spread(const uint8_t *at, Py_ssize_t count, uint32_t width, uint32_t *to) {
    for (Py_ssize_t each = 0; each < count; each++, to += width) {
        uint32_t length = length_at(at), place = 0;
        at += LENGTH_BYTES;
        for (; place < length; place++) to[place] = at[place];
        for (; place < width; place++) to[place] = 0;
        at += length;
    }
}

static PyObject *fixed_width(const uint8_t *raw, Py_ssize_t count, uint32_t width) {
    PyObject *characters = PyByteArray_FromStringAndSize(NULL, count * (Py_ssize_t)width * 4);
    if (characters == NULL) return NULL;
    uint32_t *to = (uint32_t *)PyByteArray_AsString(characters);
    Py_BEGIN_ALLOW_THREADS
    spread(raw, count, width, to);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("(nN)", (Py_ssize_t)width, characters);
}

static PyObject *objects(const uint8_t *at, Py_ssize_t count) {
    PyObject *texts = PyList_New(count);
    if (texts == NULL) return NULL;
    for (Py_ssize_t each = 0; each < count; each++) {
        uint32_t length = length_at(at);
        at += LENGTH_BYTES;
        PyObject *text = PyUnicode_DecodeUTF8((const char *)at, (Py_ssize_t)length, NULL);
        if (text == NULL || PyList_SetItem(texts, each, text) < 0) {
            Py_DECREF(texts);
            if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return NULL;
            PyErr_Clear();
            Py_RETURN_NONE;
        }
        at += length;
    }
    return texts;
}

static PyObject *texts_in(
    const Py_buffer *raw, Py_ssize_t count, Py_ssize_t most_alike, Py_ssize_t most, Py_ssize_t most_objects
) {
    if (count <= 0 || raw->len / LENGTH_BYTES < count) Py_RETURN_NONE;
    Shape shape;
    Py_BEGIN_ALLOW_THREADS
    shape = shape_of(raw->buf, raw->len, count);
    Py_END_ALLOW_THREADS
    if (!shape.whole) Py_RETURN_NONE;
    Py_ssize_t limit = shape.shortest == shape.widest ? most_alike : most;
    if (shape.plain && shape.widest > 0 && (Py_ssize_t)shape.widest <= limit)
        return fixed_width(raw->buf, count, shape.widest);
    if (count > most_objects) Py_RETURN_NONE;
    return objects(raw->buf, count);
}

static PyObject *read_texts(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer raw;
    Py_ssize_t count, most_alike, most, most_objects;
    if (!PyArg_ParseTuple(arguments, "y*nnnn", &raw, &count, &most_alike, &most, &most_objects))
        return NULL;
    PyObject *texts = texts_in(&raw, count, most_alike, most, most_objects);
    PyBuffer_Release(&raw);
    return texts;
}

/* The bytes of a text or of bytes; NULL without an error for anything else. */
static const char *content(PyObject *element, Py_ssize_t *size) {
    if (PyUnicode_Check(element)) return PyUnicode_AsUTF8AndSize(element, size);
    char *bytes = NULL;
    if (PyBytes_Check(element) && PyBytes_AsStringAndSize(element, &bytes, size) == 0) return bytes;
    return NULL;
}

static PyObject *write_elements(PyObject *module, PyObject *elements) {
    (void)module;
    if (!PyList_Check(elements)) Py_RETURN_NONE;
    Py_ssize_t count = PyList_Size(elements), total = 0, size = 0;
    for (Py_ssize_t each = 0; each < count; each++) {
        if (content(PyList_GetItem(elements, each), &size) == NULL) {
            PyErr_Clear(); /* whoever writes it element by element says what is wrong */
            Py_RETURN_NONE;
        }
        if ((uint64_t)size > UINT32_MAX || total > PY_SSIZE_T_MAX - LENGTH_BYTES - size) Py_RETURN_NONE;
        total += LENGTH_BYTES + size;
    }
    PyObject *raw = PyBytes_FromStringAndSize(NULL, total);
    if (raw == NULL) return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AsString(raw);
    for (Py_ssize_t each = 0; each < count; each++) {
        const char *from = content(PyList_GetItem(elements, each), &size);
        for (int byte = 0; byte < LENGTH_BYTES; byte++) to[byte] = (uint8_t)((uint64_t)size >> 8 * byte);
        memcpy(to + LENGTH_BYTES, from, (size_t)size);
        to += LENGTH_BYTES + size;
    }
    return raw;
}

static PyMethodDef methods[] = {
    {"read_texts", read_texts, METH_VARARGS, NULL},
    {"write_elements", write_elements, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_compiled_elements", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__compiled_elements(void) { return PyModuleDef_Init(&definition); }
