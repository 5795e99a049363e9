// Classify a digit over the Open Inference Protocol.
//
//   classify [HOST:PORT] [MODEL[@ALIAS]]

import com.google.protobuf.ByteString;
import inference.GRPCInferenceServiceGrpc;
import inference.GrpcService.ModelInferRequest;
import inference.GrpcService.ModelInferRequest.InferInputTensor;
import inference.GrpcService.ModelInferResponse;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/** Classifies one digit. */
final class Classify {
  private static final int DEADLINE_SECONDS = 5;

  // A handwritten two, 8 × 8 pixels from 0 (background) to 16, from the data that examples/digits holds back.
  private static final float[][] TWO = {
    {0, 0, 7, 16, 14, 3, 0, 0},
    {0, 0, 9, 14, 11, 15, 0, 0},
    {0, 0, 1, 5, 0, 15, 5, 0},
    {0, 0, 0, 0, 0, 16, 5, 0},
    {0, 0, 0, 0, 3, 16, 4, 0},
    {0, 0, 0, 1, 12, 14, 1, 0},
    {0, 0, 5, 12, 16, 16, 14, 1},
    {0, 0, 8, 16, 14, 10, 13, 3},
  };

  public static void main(String[] words) throws InterruptedException {
    String address = words.length > 0 ? words[0] : "127.0.0.1:8001";
    String model = words.length > 1 ? words[1] : "digits";
    ManagedChannel channel = ManagedChannelBuilder.forTarget(address).usePlaintext().build();
    int status = 0;
    try {
      show(
          GRPCInferenceServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS)
              .modelInfer(requestFor(model, TWO)));
    } catch (StatusRuntimeException error) {
      System.err.println(error.getStatus().getCode() + ": " + error.getStatus().getDescription());
      status = 1;
    } finally {
      channel.shutdownNow().awaitTermination(DEADLINE_SECONDS, TimeUnit.SECONDS);
    }
    System.exit(status);
  }

  /** One image as a request: raw contents are little-endian, row by row. */
  private static ModelInferRequest requestFor(String model, float[][] image) {
    int rows = image.length;
    int columns = image[0].length;
    ByteBuffer raw = ByteBuffer.allocate(rows * columns * Float.BYTES);
    raw.order(ByteOrder.LITTLE_ENDIAN);
    for (float[] row : image) {
      for (float pixel : row) {
        raw.putFloat(pixel);
      }
    }
    raw.flip();
    InferInputTensor.Builder input = InferInputTensor.newBuilder().setName("image");
    input.setDatatype("FP32").addShape(1).addShape(rows).addShape(columns);
    return ModelInferRequest.newBuilder()
        .setModelName(model)
        .addInputs(input)
        .addRawInputContents(ByteString.copyFrom(raw))
        .build();
  }

  /** Print the digit with its probability, and which version said so and why it was chosen. */
  private static void show(ModelInferResponse answer) {
    int label = (int) output(answer, "label").getLong(0);
    float probability = output(answer, "probabilities").getFloat(label * Float.BYTES);
    String route = answer.getParametersOrThrow("headrace.route").getStringParam();
    System.out.printf(Locale.ROOT, "digit %d (%.1f %%)%n", label, 100 * probability);
    System.out.printf("%s version %s (%s)%n", answer.getModelName(), answer.getModelVersion(), route);
  }

  /** The bytes of an output, which are the raw contents at its place. */
  private static ByteBuffer output(ModelInferResponse answer, String name) {
    List<ModelInferResponse.InferOutputTensor> outputs = answer.getOutputsList();
    for (int place = 0; place < outputs.size(); place++) {
      if (outputs.get(place).getName().equals(name)) {
        ByteBuffer raw = answer.getRawOutputContents(place).asReadOnlyByteBuffer();
        return raw.order(ByteOrder.LITTLE_ENDIAN);
      }
    }
    throw new IllegalArgumentException("the answer has no output " + name);
  }
}
