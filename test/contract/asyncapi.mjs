// Reads an AsyncAPI document with the official parser and prints its diagnostics, a JSON array: empty if there is nothing to say.
import { readFile } from 'node:fs/promises';
import { Parser } from '@asyncapi/parser';

const text = await readFile(process.argv[2], 'utf8');
const { document, diagnostics } = await new Parser().parse(text);
const found = diagnostics.map((d) => ({ severity: d.severity, code: String(d.code), message: d.message, path: d.path.join('.') }));
if (!document && found.length === 0) found.push({ severity: 0, code: 'none', message: 'no document', path: '' });
console.log(JSON.stringify(found));
