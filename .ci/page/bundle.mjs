// Makes the page's third-party modules: `node bundle.mjs FOLDER` writes nats.js, its NATS client, and nkeys.js, which
// signs with a seed and is fetched only where one is asked for. nats-core's own benchmark is left out.
import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const FOLDER = process.argv[2];
const LEFT_OUT = /^(\.\/bench|@nats-io\/nkeys)$/;
const without = {
  name: "without",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: LEFT_OUT }, ({ path }) => ({ path, namespace: "left-out" }));
    onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: "module.exports = {};" }));
  },
};

async function bundle(name, contents, told, plugins) {
  await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    outfile: `${FOLDER}/${name}`,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    legalComments: "none",
    banner: { js: `/* ${told}; LICENSES.txt. Made by \`make page\`, not by hand. */` },
    plugins,
  });
}

const packages = ["@nats-io/nats-core", "@nats-io/nuid", "@nats-io/nkeys", "tweetnacl"];
const about = async (name) => JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
const found = Object.fromEntries(await Promise.all(packages.map(async (name) => [name, await about(name)])));
const named = (...names) => names.map((name) => `${name} ${found[name].version} (${found[name].license})`).join(", ");

await bundle("nats.js", 'export { wsconnect } from "@nats-io/nats-core";', named("@nats-io/nats-core", "@nats-io/nuid"), [without]);
await bundle("nkeys.js", 'export { fromSeed } from "@nats-io/nkeys";', named("@nats-io/nkeys", "tweetnacl"), []);

const licences = await Promise.all(
  packages.map(async (name) => `${named(name)}\n\n${(await readFile(`node_modules/${name}/LICENSE`, "utf8")).trim()}\n`),
);
await writeFile(`${FOLDER}/LICENSES.txt`, licences.join(`\n${"-".repeat(80)}\n\n`));
