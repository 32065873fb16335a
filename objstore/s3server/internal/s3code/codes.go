package s3code

// Code is an S3 error code. The list is closed.
type Code uint8

// The codes, in the order of their names.
const (
	AccessControlListNotSupported Code = iota + 1
	AccessDenied
	AccessForbidden
	AuthorizationHeaderMalformed
	AuthorizationQueryParametersError
	BadDigest
	BadRequest
	BucketAlreadyExists
	BucketAlreadyOwnedByYou
	BucketNotEmpty
	ConditionalRequestConflict
	EntityTooLarge
	EntityTooSmall
	ExpiredToken
	IdempotencyParameterMismatch
	IllegalLocationConstraintException
	IllegalVersioningConfigurationException
	IncompleteBody
	IncorrectNumberOfFilesInPostRequest
	InsufficientStorage
	InternalError
	InvalidAccessKeyId
	InvalidArgument
	InvalidBucketName
	InvalidBucketState
	InvalidChunkSizeError
	InvalidDigest
	InvalidEncryptionAlgorithmError
	InvalidLocationConstraint
	InvalidObjectName
	InvalidObjectState
	InvalidPart
	InvalidPartNumber
	InvalidPartOrder
	InvalidPolicyDocument
	InvalidRange
	InvalidRedirectLocation
	InvalidRequest
	InvalidSecurity
	InvalidStorageClass
	InvalidTag
	InvalidToken
	InvalidURI
	InvalidWriteOffset
	KeyTooLongError
	MalformedACLError
	MalformedPOSTRequest
	MalformedPolicy
	MalformedTrailerError
	MalformedXML
	MaxMessageLengthExceeded
	MaxPostPreDataLengthExceededError
	MetadataTooLarge
	MethodNotAllowed
	MissingContentLength
	MissingRequestBodyError
	MissingSecurityHeader
	NoSuchBucket
	NoSuchBucketPolicy
	NoSuchCORSConfiguration
	NoSuchKey
	NoSuchLifecycleConfiguration
	NoSuchTagSet
	NoSuchUpload
	NoSuchVersion
	NoSuchWebsiteConfiguration
	NotImplemented
	NotModified
	ObjectLockConfigurationNotFoundError
	OperationAborted
	OwnershipControlsNotFoundError
	ParentIsNotDirectory
	PermanentRedirect
	PreconditionFailed
	ReplicationConfigurationNotFoundError
	RequestHeaderSectionTooLarge
	RequestIsNotMultiPartContent
	RequestTimeTooSkewed
	RequestTimeout
	ServerSideEncryptionConfigurationNotFoundError
	ServiceUnavailable
	SignatureDoesNotMatch
	SlowDown
	TemporaryRedirect
	TooManyBuckets
	TooManyParts
	UnexpectedContent
	UserKeyMustBeSpecified
	XAmzContentSHA256Mismatch
	codeEnd
)

type codeRow struct {
	name    string
	status  int
	message string
}

// codes is indexed by Code. InsufficientStorage, InvalidObjectName,
// ParentIsNotDirectory and the text of IdempotencyParameterMismatch are not AWS's.
var codes = [codeEnd]codeRow{
	AccessControlListNotSupported:           {"AccessControlListNotSupported", 400, "The bucket does not allow ACLs."},
	AccessDenied:                            {"AccessDenied", 403, "Access Denied"},
	AccessForbidden:                         {"AccessForbidden", 403, "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."},
	AuthorizationHeaderMalformed:            {"AuthorizationHeaderMalformed", 400, "The authorization header you provided is invalid."},
	AuthorizationQueryParametersError:       {"AuthorizationQueryParametersError", 400, "The authorization query parameters that you provided are not valid."},
	BadDigest:                               {"BadDigest", 400, "The Content-MD5 you specified did not match what we received."},
	BadRequest:                              {"BadRequest", 400, "Bad Request"},
	BucketAlreadyExists:                     {"BucketAlreadyExists", 409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."},
	BucketAlreadyOwnedByYou:                 {"BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it."},
	BucketNotEmpty:                          {"BucketNotEmpty", 409, "The bucket you tried to delete is not empty"},
	ConditionalRequestConflict:              {"ConditionalRequestConflict", 409, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	EntityTooLarge:                          {"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"},
	EntityTooSmall:                          {"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"},
	ExpiredToken:                            {"ExpiredToken", 400, "The provided token has expired."},
	IdempotencyParameterMismatch:            {"IdempotencyParameterMismatch", 400, "The client token was used with other parameters before."},
	IllegalLocationConstraintException:      {"IllegalLocationConstraintException", 400, "The specified location constraint is incompatible for the region specific endpoint this request was sent to."},
	IllegalVersioningConfigurationException: {"IllegalVersioningConfigurationException", 400, "The versioning configuration specified in the request is invalid."},
	IncompleteBody:                          {"IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header"},
	IncorrectNumberOfFilesInPostRequest:     {"IncorrectNumberOfFilesInPostRequest", 400, "POST requires exactly one file upload per request."},
	InsufficientStorage:                     {"InsufficientStorage", 507, "There is not enough space to store the object."},
	InternalError:                           {"InternalError", 500, "We encountered an internal error. Please try again."},
	InvalidAccessKeyId:                      {"InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."},
	InvalidArgument:                         {"InvalidArgument", 400, "Invalid Argument"},
	InvalidBucketName:                       {"InvalidBucketName", 400, "The specified bucket is not valid."},
	InvalidBucketState:                      {"InvalidBucketState", 409, "The request is not valid with the current state of the bucket."},
	InvalidChunkSizeError:                   {"InvalidChunkSizeError", 400, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	InvalidDigest:                           {"InvalidDigest", 400, "The Content-MD5 you specified was invalid."},
	InvalidEncryptionAlgorithmError:         {"InvalidEncryptionAlgorithmError", 400, "The encryption request you specified is not valid. The valid value is AES256."},
	InvalidLocationConstraint:               {"InvalidLocationConstraint", 400, "The specified location-constraint is not valid"},
	InvalidObjectName:                       {"InvalidObjectName", 400, "The specified key is not valid."},
	InvalidObjectState:                      {"InvalidObjectState", 403, "The operation is not valid for the object's storage class"},
	InvalidPart:                             {"InvalidPart", 400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	InvalidPartNumber:                       {"InvalidPartNumber", 416, "The requested partnumber is not satisfiable"},
	InvalidPartOrder:                        {"InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	InvalidPolicyDocument:                   {"InvalidPolicyDocument", 400, "Invalid Policy: Invalid JSON."},
	InvalidRange:                            {"InvalidRange", 416, "The requested range is not satisfiable"},
	InvalidRedirectLocation:                 {"InvalidRedirectLocation", 400, "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."},
	InvalidRequest:                          {"InvalidRequest", 400, "Invalid Request"},
	InvalidSecurity:                         {"InvalidSecurity", 403, "The provided security credentials are not valid."},
	InvalidStorageClass:                     {"InvalidStorageClass", 400, "The storage class you specified is not valid"},
	InvalidTag:                              {"InvalidTag", 400, "The tag provided was not a valid tag. This error can occur if the tag did not pass input validation."},
	InvalidToken:                            {"InvalidToken", 400, "The provided token is malformed or otherwise invalid."},
	InvalidURI:                              {"InvalidURI", 400, "Couldn't parse the specified URI."},
	InvalidWriteOffset:                      {"InvalidWriteOffset", 400, "The write offset value that you specified does not match the current object size."},
	KeyTooLongError:                         {"KeyTooLongError", 400, "Your key is too long"},
	MalformedACLError:                       {"MalformedACLError", 400, "The XML you provided was not well-formed or did not validate against our published schema"},
	MalformedPOSTRequest:                    {"MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data."},
	MalformedPolicy:                         {"MalformedPolicy", 400, "Policies must be valid JSON and the first byte must be '{'"},
	MalformedTrailerError:                   {"MalformedTrailerError", 400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	MalformedXML:                            {"MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema"},
	MaxMessageLengthExceeded:                {"MaxMessageLengthExceeded", 400, "Your request was too big."},
	MaxPostPreDataLengthExceededError:       {"MaxPostPreDataLengthExceededError", 400, "Your POST request fields preceding the upload file were too large."},
	MetadataTooLarge:                        {"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"},
	MethodNotAllowed:                        {"MethodNotAllowed", 405, "The specified method is not allowed against this resource."},
	MissingContentLength:                    {"MissingContentLength", 411, "You must provide the Content-Length HTTP header."},
	MissingRequestBodyError:                 {"MissingRequestBodyError", 400, "Request Body is empty"},
	MissingSecurityHeader:                   {"MissingSecurityHeader", 400, "Your request was missing a required header"},
	NoSuchBucket:                            {"NoSuchBucket", 404, "The specified bucket does not exist"},
	NoSuchBucketPolicy:                      {"NoSuchBucketPolicy", 404, "The bucket policy does not exist"},
	NoSuchCORSConfiguration:                 {"NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"},
	NoSuchKey:                               {"NoSuchKey", 404, "The specified key does not exist."},
	NoSuchLifecycleConfiguration:            {"NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"},
	NoSuchTagSet:                            {"NoSuchTagSet", 404, "The TagSet does not exist"},
	NoSuchUpload:                            {"NoSuchUpload", 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	NoSuchVersion:                           {"NoSuchVersion", 404, "The specified version does not exist."},
	NoSuchWebsiteConfiguration:              {"NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration"},
	NotImplemented:                          {"NotImplemented", 501, "A header you provided implies functionality that is not implemented"},
	NotModified:                             {"NotModified", 304, "Not Modified"},
	ObjectLockConfigurationNotFoundError:    {"ObjectLockConfigurationNotFoundError", 404, "Object Lock configuration does not exist for this bucket"},
	OperationAborted:                        {"OperationAborted", 409, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	OwnershipControlsNotFoundError:          {"OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found"},
	ParentIsNotDirectory:                    {"ParentIsNotDirectory", 409, "A part of the key names an object that is not a directory."},
	PermanentRedirect:                       {"PermanentRedirect", 301, "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."},
	PreconditionFailed:                      {"PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"},
	ReplicationConfigurationNotFoundError:   {"ReplicationConfigurationNotFoundError", 404, "The replication configuration was not found"},
	RequestHeaderSectionTooLarge:            {"RequestHeaderSectionTooLarge", 400, "Your request header section exceeds the maximum allowed size."},
	RequestIsNotMultiPartContent:            {"RequestIsNotMultiPartContent", 412, "Bucket POST must be of the enclosure-type multipart/form-data."},
	RequestTimeTooSkewed:                    {"RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large."},
	RequestTimeout:                          {"RequestTimeout", 400, "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."},
	ServerSideEncryptionConfigurationNotFoundError: {"ServerSideEncryptionConfigurationNotFoundError", 404, "The server side encryption configuration was not found"},
	ServiceUnavailable:        {"ServiceUnavailable", 503, "Service is unable to handle request."},
	SignatureDoesNotMatch:     {"SignatureDoesNotMatch", 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	SlowDown:                  {"SlowDown", 503, "Please reduce your request rate."},
	TemporaryRedirect:         {"TemporaryRedirect", 307, "You are being redirected to the bucket while DNS updates."},
	TooManyBuckets:            {"TooManyBuckets", 400, "You have attempted to create more buckets than allowed"},
	TooManyParts:              {"TooManyParts", 400, "You have attempted to add more parts than the maximum of 10000 that are allowed for this object."},
	UnexpectedContent:         {"UnexpectedContent", 400, "This request does not support content."},
	UserKeyMustBeSpecified:    {"UserKeyMustBeSpecified", 400, "The bucket POST must contain the specified field name. If it is specified, check the order of the fields."},
	XAmzContentSHA256Mismatch: {"XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
}
