// What @aws-sdk/client-s3 does with a server: URL BUCKET DIRECTORY. Says "done" at the end.

import assert from "node:assert/strict";
import { createReadStream, createWriteStream, openSync, readFileSync, readSync, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, DeleteObjectCommand,
  DeleteObjectsCommand, GetObjectAttributesCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand,
  S3Client, UploadPartCommand, UploadPartCopyCommand, paginateListObjectsV2,
} from "@aws-sdk/client-s3";

const [url, Bucket, directory] = process.argv.slice(2);
const s3 = new S3Client({ endpoint: url, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
const send = (Command, input) => s3.send(new Command({ Bucket, ...input }));
const refused = async (name, Command, input) => {
  try {
    await send(Command, input);
  } catch (e) {
    assert.equal(e.$metadata?.httpStatusCode === 304 ? "304" : e.name, name, `${e}`);
    return e;
  }
  assert.fail(`not refused: ${name}`);
};
const small = readFileSync(`${directory}/small`);
const big = `${directory}/big`;

// Put, get, head; a stream goes in chunks with a trailer.
const { ETag } = await send(PutObjectCommand, { Key: "dir/k ey+ä", Body: small, Metadata: { a: "1" } });
const got = await send(GetObjectCommand, { Key: "dir/k ey+ä" });
assert.deepEqual(Buffer.from(await got.Body.transformToByteArray()), small);
assert.equal(got.ETag, ETag);
assert.equal(got.Metadata.a, "1");
await send(PutObjectCommand, { Key: "stream", Body: createReadStream(`${directory}/small`), ContentLength: small.length });
assert.equal((await send(HeadObjectCommand, { Key: "stream", ChecksumMode: "ENABLED" })).ContentLength, small.length);

// Multipart, up and down, with a part that is copied.
const size = statSync(big).size, partSize = 10 << 20, file = openSync(big, "r");
const { UploadId } = await send(CreateMultipartUploadCommand, { Key: "big", ChecksumAlgorithm: "SHA256" });
const Parts = [];
for (let at = 0, PartNumber = 1; at < size; at += partSize, PartNumber++) {
  const Body = Buffer.alloc(Math.min(partSize, size - at));
  readSync(file, Body, 0, Body.length, at);
  const part = await send(UploadPartCommand, { Key: "big", UploadId, PartNumber, Body, ChecksumAlgorithm: "SHA256" });
  Parts.push({ PartNumber, ETag: part.ETag, ChecksumSHA256: part.ChecksumSHA256 });
}
const made = await send(CompleteMultipartUploadCommand, { Key: "big", UploadId, MultipartUpload: { Parts }, IfNoneMatch: "*" });
assert.match(made.ChecksumSHA256, /-10$/);
await pipeline((await send(GetObjectCommand, { Key: "big" })).Body, createWriteStream(`${big}.back`));
const attributes = await send(GetObjectAttributesCommand, { Key: "big", ObjectAttributes: ["ObjectParts", "ObjectSize", "ETag"] });
assert.equal(attributes.ObjectParts.TotalPartsCount, 10);
const second = await send(CreateMultipartUploadCommand, { Key: "second" });
const copied = await send(UploadPartCopyCommand, { Key: "second", UploadId: second.UploadId, PartNumber: 1, CopySource: `${Bucket}/big`, CopySourceRange: "bytes=0-9", CopySourceIfMatch: made.ETag });
assert.ok(copied.CopyPartResult.ETag);
await send(AbortMultipartUploadCommand, { Key: "second", UploadId: second.UploadId });

// List, copy, delete.
const keys = [];
for await (const page of paginateListObjectsV2({ client: s3, pageSize: 1 }, { Bucket })) keys.push(...page.Contents.map((o) => o.Key));
assert.deepEqual(keys, ["big", "dir/k ey+ä", "stream"]);
assert.equal((await send(ListObjectsV2Command, { Delimiter: "/" })).CommonPrefixes[0].Prefix, "dir/");
await send(CopyObjectCommand, { Key: "copy", CopySource: encodeURI(`${Bucket}/dir/k ey+ä`), CopySourceIfMatch: ETag, IfNoneMatch: "*" });
await refused("PreconditionFailed", CopyObjectCommand, { Key: "copy", CopySource: `${Bucket}/big`, IfNoneMatch: "*" });
const deleted = await send(DeleteObjectsCommand, { Delete: { Objects: [{ Key: "stream", ETag: '"other"' }, { Key: "copy" }] } });
assert.equal(deleted.Deleted[0].Key, "copy");
assert.equal(deleted.Errors[0].Code, "PreconditionFailed");

// Conditions.
await refused("304", GetObjectCommand, { Key: "big", IfNoneMatch: made.ETag });
await refused("PreconditionFailed", GetObjectCommand, { Key: "big", IfMatch: ETag });
const created = await send(PutObjectCommand, { Key: "new", Body: "1", IfNoneMatch: "*" });
await refused("PreconditionFailed", PutObjectCommand, { Key: "new", Body: "2", IfNoneMatch: "*" });
await send(PutObjectCommand, { Key: "new", Body: "2", IfMatch: created.ETag });
await refused("PreconditionFailed", PutObjectCommand, { Key: "new", Body: "3", IfMatch: created.ETag });
await refused("NoSuchKey", PutObjectCommand, { Key: "none", Body: "3", IfMatch: created.ETag });
await refused("PreconditionFailed", DeleteObjectCommand, { Key: "new", IfMatch: created.ETag });
await send(DeleteObjectCommand, { Key: "new", IfMatch: "*" });
console.log("done");
