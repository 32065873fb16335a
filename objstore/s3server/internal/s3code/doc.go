// Package s3code is the closed table of S3 error codes: name, HTTP status and
// default message, and what each kind of store failure is called in S3.
//
// # Words
//
//   - A [Code] is one of S3's error codes. Codes are errors: errors.Is(err,
//     s3code.NoSuchKey) works through any wrapping.
//   - An [Error] is a refusal: a code, a message where the default one says too
//     little, and the further elements of the error document in their order.
//
// # Guarantees
//
// Every refusal of the packages beside this one is an [*Error]; [Of] turns any
// other failure into one, so a server needs one place that writes errors. A
// failure nobody classified is InternalError and tells the client nothing else.
//
// # What it does not do
//
// No XML and no logging.
package s3code
