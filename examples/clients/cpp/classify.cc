// Classify a digit over the Open Inference Protocol.
//
//   classify [HOST:PORT] [MODEL[@ALIAS]]

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>

#include <grpcpp/grpcpp.h>

#include "inference/grpc_service.grpc.pb.h"

namespace {

constexpr std::chrono::seconds kDeadline{5};
constexpr int kSide = 8;

// A handwritten two, 8 × 8 pixels from 0 (background) to 16, from the data that examples/digits holds back.
constexpr std::array<float, kSide * kSide> kTwo{
    0, 0, 7, 16, 14, 3,  0,  0,  //
    0, 0, 9, 14, 11, 15, 0,  0,  //
    0, 0, 1, 5,  0,  15, 5,  0,  //
    0, 0, 0, 0,  0,  16, 5,  0,  //
    0, 0, 0, 0,  3,  16, 4,  0,  //
    0, 0, 0, 1,  12, 14, 1,  0,  //
    0, 0, 5, 12, 16, 16, 14, 1,  //
    0, 0, 8, 16, 14, 10, 13, 3,
};

// One image as a request. Raw contents are little-endian, as the memory of the machines is that this runs on.
inference::ModelInferRequest RequestFor(const std::string& model) {
  inference::ModelInferRequest request;
  request.set_model_name(model);
  auto* image = request.add_inputs();
  image->set_name("image");
  image->set_datatype("FP32");
  for (int size : {1, kSide, kSide}) image->add_shape(size);
  request.add_raw_input_contents(kTwo.data(), sizeof(kTwo));
  return request;
}

// The first values of an output, from the raw contents at its place.
template <typename T, size_t N>
std::array<T, N> Read(const inference::ModelInferResponse& answer, const std::string& name) {
  for (int place = 0; place < answer.outputs_size(); ++place) {
    const std::string& raw = answer.raw_output_contents(place);
    std::array<T, N> values;
    if (answer.outputs(place).name() != name || raw.size() != sizeof(values)) continue;
    std::memcpy(values.data(), raw.data(), sizeof(values));
    return values;
  }
  throw std::runtime_error("the answer has no output " + name + " of the expected size");
}

// Print the digit with its probability, and which version said so and why it was chosen.
void Show(const inference::ModelInferResponse& answer) {
  const auto label = Read<int64_t, 1>(answer, "label")[0];
  const auto probability = Read<float, 10>(answer, "probabilities").at(label);
  std::cout << "digit " << label << " (" << std::fixed << std::setprecision(1)
            << 100 * probability << " %)\n"
            << answer.model_name() << " version " << answer.model_version() << " ("
            << answer.parameters().at("headrace.route").string_param() << ")\n";
}

}  // namespace

int main(int count, char** words) {
  const std::string address = count > 1 ? words[1] : "127.0.0.1:8001";
  const std::string model = count > 2 ? words[2] : "digits";
  auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  auto stub = inference::GRPCInferenceService::NewStub(channel);

  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  inference::ModelInferResponse answer;
  const grpc::Status status = stub->ModelInfer(&context, RequestFor(model), &answer);
  if (!status.ok()) {
    std::cerr << "status " << status.error_code() << ": " << status.error_message() << "\n";
    return 1;
  }
  Show(answer);
}
