// Classify a digit over the Open Inference Protocol.
//
//	classify [HOST:PORT] [MODEL[@ALIAS]]
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"inference"
)

const deadline = 5 * time.Second

// A handwritten two, 8 × 8 pixels from 0 (background) to 16, from the data that examples/digits holds back.
var two = [8][8]float32{
	{0, 0, 7, 16, 14, 3, 0, 0},
	{0, 0, 9, 14, 11, 15, 0, 0},
	{0, 0, 1, 5, 0, 15, 5, 0},
	{0, 0, 0, 0, 0, 16, 5, 0},
	{0, 0, 0, 0, 3, 16, 4, 0},
	{0, 0, 0, 1, 12, 14, 1, 0},
	{0, 0, 5, 12, 16, 16, 14, 1},
	{0, 0, 8, 16, 14, 10, 13, 3},
}

// requestFor puts one image into a request: raw contents are little-endian, row by row.
func requestFor(model string, image [8][8]float32) *inference.ModelInferRequest {
	var raw bytes.Buffer
	binary.Write(&raw, binary.LittleEndian, image) // a Buffer takes all that fits into memory
	return &inference.ModelInferRequest{
		ModelName: model,
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "image", Datatype: "FP32", Shape: []int64{1, 8, 8}},
		},
		RawInputContents: [][]byte{raw.Bytes()},
	}
}

// read fills values with the named output, whose raw contents lie at its place.
func read(answer *inference.ModelInferResponse, name string, values interface{}) error {
	for place, tensor := range answer.Outputs {
		if tensor.Name == name {
			raw := bytes.NewReader(answer.RawOutputContents[place])
			return binary.Read(raw, binary.LittleEndian, values)
		}
	}
	return fmt.Errorf("the answer has no output %q", name)
}

// show prints the digit with its probability, and which version said so and why it was chosen.
func show(answer *inference.ModelInferResponse) error {
	var label [1]int64
	var probabilities [10]float32
	if err := read(answer, "label", &label); err != nil {
		return err
	}
	if err := read(answer, "probabilities", &probabilities); err != nil {
		return err
	}
	fmt.Printf("digit %d (%.1f %%)\n", label[0], 100*probabilities[label[0]])
	route := answer.Parameters["headrace.route"].GetStringParam()
	fmt.Printf("%s version %s (%s)\n", answer.ModelName, answer.ModelVersion, route)
	return nil
}

func run(address, model string) error {
	connection, err := grpc.Dial(address, grpc.WithInsecure())
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	client := inference.NewGRPCInferenceServiceClient(connection)
	answer, err := client.ModelInfer(ctx, requestFor(model, two))
	if err != nil {
		return err
	}
	return show(answer)
}

// argument is a word of the command line, or what stands for it.
func argument(place int, otherwise string) string {
	if len(os.Args) > place {
		return os.Args[place]
	}
	return otherwise
}

func main() {
	if err := run(argument(1, "127.0.0.1:8001"), argument(2, "digits")); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", status.Code(err), status.Convert(err).Message())
		os.Exit(1)
	}
}
