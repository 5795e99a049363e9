// Asks as the official client in Node does: openai_node.mjs URL MODEL EMBEDDER; prints what came as JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.OPENAI_NODE}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { default: OpenAI } = await load("openai");

const [url, model, embedder] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const asked = { model, messages: [{ role: "user", content: "Who are you?" }], temperature: 0 };
const number = {
  type: "object",
  properties: { n: { type: "integer", minimum: 0, maximum: 99 } },
  required: ["n"],
};
const tool = { type: "function", function: { name: "look", parameters: number } };

const scenarios = {
  async plain() {
    const answer = await client.chat.completions.create({ ...asked, max_completion_tokens: 5 });
    return [answer.choices[0].message.content, answer.choices[0].finish_reason];
  },
  async stream() {
    const helper = client.chat.completions.stream({
      ...asked,
      max_completion_tokens: 5,
      stream_options: { include_usage: true },
    });
    const text = await helper.finalContent();
    return [text, (await helper.totalUsage()).completion_tokens];
  },
  async tools() {
    const choice = { tools: [tool], tool_choice: "required" };
    const whole = await client.chat.completions.create({ ...asked, ...choice });
    const helper = client.chat.completions.stream({ ...asked, ...choice });
    const streamed = (await helper.finalMessage()).tool_calls[0];
    return [whole.choices[0].message.tool_calls[0], streamed].map((call) => [
      call.function.name,
      Object.keys(JSON.parse(call.function.arguments)),
    ]);
  },
  async schema() {
    const answer = await client.chat.completions.create({
      ...asked,
      response_format: { type: "json_schema", json_schema: { name: "number", schema: number } },
    });
    return Object.keys(JSON.parse(answer.choices[0].message.content));
  },
  async responses() {
    const helper = client.responses.stream({ model, input: "Who are you?", max_output_tokens: 5 });
    const answer = await helper.finalResponse();
    return [answer.status, answer.usage.output_tokens];
  },
  async errors() {
    const found = [];
    for (const changes of [{ model: "none" }, { temperature: 7 }]) {
      try {
        await client.chat.completions.create({ ...asked, ...changes });
      } catch (error) {
        found.push([error.constructor.name, error.code, error.param]);
      }
    }
    return found;
  },
  async embeddings() {
    const answer = await client.embeddings.create({ model: embedder, input: ["the river", "the mill"] });
    return answer.data.map((one) => one.embedding.length);
  },
};

const told = {};
for (const [name, scenario] of Object.entries(scenarios)) told[name] = await scenario();
console.log(JSON.stringify(told));
