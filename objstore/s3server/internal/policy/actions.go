package policy

import "strings"

// objectActions are what can be done to objects.
var objectActions = [...]string{
	"s3:AbortMultipartUpload", "s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectTagging", "s3:DeleteObjectVersion",
	"s3:DeleteObjectVersionTagging", "s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectAttributes", "s3:GetObjectLegalHold", "s3:GetObjectRetention",
	"s3:GetObjectTagging", "s3:GetObjectTorrent", "s3:GetObjectVersion", "s3:GetObjectVersionAcl", "s3:GetObjectVersionAttributes",
	"s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging", "s3:GetObjectVersionTorrent", "s3:ListMultipartUploadParts",
	"s3:ObjectOwnerOverrideToBucketOwner", "s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectLegalHold", "s3:PutObjectRetention",
	"s3:PutObjectTagging", "s3:PutObjectVersionAcl", "s3:PutObjectVersionTagging", "s3:ReplicateDelete", "s3:ReplicateObject",
	"s3:ReplicateTags", "s3:RestoreObject", "s3:UpdateObjectEncryption",
}

// bucketActions are what can be done to buckets. s3:ListenBucketNotification is not S3's.
var bucketActions = [...]string{
	"s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteBucketWebsite", "s3:GetAccelerateConfiguration",
	"s3:GetAnalyticsConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLocation", "s3:GetBucketLogging",
	"s3:GetBucketNotification", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy",
	"s3:GetBucketPolicyStatus", "s3:GetBucketPublicAccessBlock", "s3:GetBucketRequestPayment", "s3:GetBucketTagging", "s3:GetBucketVersioning",
	"s3:GetBucketWebsite", "s3:GetEncryptionConfiguration", "s3:GetIntelligentTieringConfiguration", "s3:GetInventoryConfiguration",
	"s3:GetLifecycleConfiguration", "s3:GetMetricsConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket",
	"s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:ListenBucketNotification", "s3:PutAccelerateConfiguration",
	"s3:PutAnalyticsConfiguration", "s3:PutBucketAcl", "s3:PutBucketCORS", "s3:PutBucketLogging", "s3:PutBucketNotification",
	"s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
	"s3:PutBucketRequestPayment", "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutBucketWebsite", "s3:PutEncryptionConfiguration",
	"s3:PutIntelligentTieringConfiguration", "s3:PutInventoryConfiguration", "s3:PutLifecycleConfiguration", "s3:PutMetricsConfiguration",
	"s3:PutReplicationConfiguration",
}

// reach says what an action, or a pattern of actions, can be done to.
func reach(pattern string) (objects, buckets bool) {
	for _, action := range objectActions {
		objects = objects || matchesFold(pattern, action)
	}
	for _, action := range bucketActions {
		buckets = buckets || matchesFold(pattern, action)
	}
	return objects, buckets
}

// checkActions refuses what is no action, and a single one that can be done to none of the resources.
func checkActions(actions []string, resources selection) error {
	for _, action := range actions {
		objects, buckets := reach(action)
		if !objects && !buckets || action != "*" && !strings.HasPrefix(strings.ToLower(action), "s3:") {
			return malformed("Policy has invalid action")
		}
		if resources.not || strings.ContainsAny(action, "*?") {
			continue
		}
		fits := resources.includes(func(resource string) bool {
			return objects && strings.ContainsAny(resource[len(arnPrefix):], "/*") || buckets && !strings.Contains(resource, "/")
		})
		if !fits {
			return malformed("Action does not apply to any resource(s) in statement")
		}
	}
	return nil
}
