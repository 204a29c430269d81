// Reads CAR files with @ipld/car, and says as JSON what is in them.
// It is given on standard input, so that the package is looked for in the current folder.
import { readFileSync } from 'node:fs'
import { CarReader, CarWriter } from '@ipld/car'

const files = process.argv.slice(2)
const found = []
for (const file of files) {
  const reader = await CarReader.fromBytes(readFileSync(file))
  const roots = await reader.getRoots()
  const blocks = []
  const { writer, out } = CarWriter.create(roots)
  const written = (async () => {
    const chunks = []
    for await (const chunk of out) chunks.push(chunk)
    return Buffer.concat(chunks).toString('base64')
  })()
  for await (const { cid, bytes } of reader.blocks()) {
    blocks.push([cid.toString(), cid.code, Buffer.from(bytes).toString('base64')])
    await writer.put({ cid, bytes })
  }
  await writer.close()
  found.push({ version: reader.version, roots: roots.map(String), blocks, again: await written })
}
console.log(JSON.stringify(found))
