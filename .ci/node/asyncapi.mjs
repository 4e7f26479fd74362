// Parses an AsyncAPI document with the official parser; says what it finds, and ends with 1 if that is anything.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
for (const { severity, code, path, message } of diagnostics) {
  console.log(`${severity} ${code} ${path.join('.')}: ${message}`);
}
if (document) console.log(`${document.channels().length} channels, ${document.operations().length} operations`);
process.exit(document && diagnostics.length === 0 ? 0 : 1);
