// Images as tensors of the shape that a model takes.

// {channels, height, width, last}: where a shape looks like that of images; null where it does not.
export function imageLayout(shape, spec) {
  const sizes = shape.slice(-3).map((size, index) => size || spec?.shape?.slice(-3)[index] || 0);
  if (shape.length < 3 || shape.length > 4) return null;
  const [first, second, third] = sizes.map((size) => (size > 0 ? size : 1));
  const isSide = (size) => size >= 8 || size === 1;
  if ((first === 1 || first === 3) && isSide(second) && isSide(third) && second * third >= 1) return { channels: first, height: second > 1 ? second : 224, width: third > 1 ? third : 224, last: false, batch: shape.length === 4 };
  if ((third === 1 || third === 3) && first >= 8 && second >= 8) return { channels: third, height: first, width: second, last: true, batch: shape.length === 4 };
  return null;
}

const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

export async function imageTensor(file, layout, scale) {
  const { width, height, channels } = layout;
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data;
  const size = width * height;
  const data = new Array(size * channels);
  for (let at = 0; at < size; at += 1) {
    const colour = [pixels[at * 4], pixels[at * 4 + 1], pixels[at * 4 + 2]];
    const values = channels === 1 ? [Math.round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])] : colour;
    values.forEach((value, channel) => { data[layout.last ? at * channels + channel : channel * size + at] = scaled(value, channel, scale); });
  }
  const sides = layout.last ? [height, width, channels] : [channels, height, width];
  return { data, shape: layout.batch ? [1, ...sides] : sides, url: canvas.toDataURL("image/png") };
}

function scaled(value, channel, scale) {
  if (scale === "bytes") return value;
  const unit = value / 255;
  return scale === "imagenet" ? (unit - MEAN[channel]) / DEVIATION[channel] : unit;
}
