// Runs GitHub's own parser over workflow and action files and prints what it
// finds: what it refuses, GitHub refuses. Exit 1 on any finding.
import {readFile} from 'node:fs/promises';
import {validate, registerLogger} from '@actions/languageservice';
import {TextDocument} from 'vscode-languageserver-textdocument';

registerLogger({error: console.error, warn: console.error, info() {}, log() {}});

let findings = 0;
for (const path of process.argv.slice(2)) {
  const document = TextDocument.create(`file:///${path}`, 'yaml', 0, await readFile(path, 'utf8'));
  for (const {range, message} of await validate(document, {})) {
    findings++;
    console.log(`${path}:${range.start.line + 1}:${range.start.character + 1}: ${message}`);
  }
}
process.exitCode = findings > 0 ? 1 : 0;
