"""What boto3 does with a server: URL BUCKET DIRECTORY. Says "done" at the end."""

import os
import sys
import urllib.request

import boto3
import botocore.exceptions
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

url, bucket, directory = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=url, config=Config(signature_version="s3v4"))  # else addresses have the old signature
small = open(os.path.join(directory, "small"), "rb").read()
big = os.path.join(directory, "big")


def refused(code, call, **arguments):
    try:
        call(Bucket=bucket, **arguments)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e.response
    raise AssertionError("not refused: " + code)


def with_headers(operation, headers, call):
    """Calls with headers that this boto3 may not have parameters for."""
    event = "before-call.s3." + operation

    def add(params, **_):
        params["headers"].update(headers)

    s3.meta.events.register(event, add)
    try:
        return call()
    finally:
        s3.meta.events.unregister(event, add)


# Put, get, head.
tag = s3.put_object(Bucket=bucket, Key="dir/k ey+ä", Body=small, Metadata={"a": "1"})["ETag"]
got = s3.get_object(Bucket=bucket, Key="dir/k ey+ä")
assert got["Body"].read() == small and got["ETag"] == tag and got["Metadata"] == {"a": "1"}
assert s3.get_object(Bucket=bucket, Key="dir/k ey+ä", Range="bytes=1-2")["Body"].read() == small[1:3]

# Multipart, up and down.
parts = TransferConfig(multipart_threshold=16 << 20, multipart_chunksize=16 << 20)
s3.upload_file(big, bucket, "big", Config=parts)
s3.download_file(bucket, "big", big + ".back", Config=parts)
s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "kept", Config=parts)

# List, copy, delete.
for i in range(5):
    s3.put_object(Bucket=bucket, Key="list/%d" % i, Body=b"")
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
keys = [o["Key"] for page in pages for o in page["Contents"]]
assert keys == ["big", "dir/k ey+ä", "kept"] + ["list/%d" % i for i in range(5)], keys
assert [p["Prefix"] for p in s3.list_objects(Bucket=bucket, Delimiter="/")["CommonPrefixes"]] == ["dir/", "list/"]
s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "dir/k ey+ä"}, CopySourceIfMatch=tag)
refused("PreconditionFailed", s3.copy_object, Key="copy", CopySource=bucket + "/big", CopySourceIfMatch=tag)
deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "list/0"}, {"Key": "none"}]})
assert len(deleted["Deleted"]) == 2, deleted
s3.delete_object(Bucket=bucket, Key="copy")
refused("NoSuchKey", s3.get_object, Key="copy")

# Conditions.
refused("304", s3.get_object, Key="dir/k ey+ä", IfNoneMatch=tag)
refused("PreconditionFailed", s3.get_object, Key="dir/k ey+ä", IfMatch='"other"')
put = lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"new")
with_headers("PutObject", {"If-None-Match": "*"}, lambda: put("new"))
answer = with_headers("PutObject", {"If-None-Match": "*"}, lambda: refused("PreconditionFailed", s3.put_object, Key="new", Body=b"x"))
assert answer["Error"]["Condition"] == "If-None-Match", answer
tag = s3.head_object(Bucket=bucket, Key="new")["ETag"]
with_headers("PutObject", {"If-Match": tag}, lambda: put("new"))
with_headers("PutObject", {"If-Match": tag}, lambda: refused("PreconditionFailed", s3.put_object, Key="new", Body=b"x"))
with_headers("PutObject", {"If-Match": tag}, lambda: refused("NoSuchKey", s3.put_object, Key="none", Body=b"x"))
with_headers("DeleteObject", {"If-Match": tag}, lambda: refused("PreconditionFailed", s3.delete_object, Key="new"))

# Without a client: an address and a form.
signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "dir/k ey+ä"}, ExpiresIn=60)
assert urllib.request.urlopen(signed).read() == small
form = s3.generate_presigned_post(bucket, "form/${filename}", Conditions=[["content-length-range", 1, 100]])
mark = "boundary7"
body = "".join("--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n" % (mark, k, v) for k, v in form["fields"].items())
body += "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nposted\r\n--%s--\r\n" % (mark, mark)
request = urllib.request.Request(form["url"], body.encode(), {"Content-Type": "multipart/form-data; boundary=" + mark})
assert urllib.request.urlopen(request).status == 204
assert s3.get_object(Bucket=bucket, Key="form/f")["Body"].read() == b"posted"
print("done")
