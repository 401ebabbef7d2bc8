package natsstore

// Permissions are the subjects that a node's user in NATS may publish to and subscribe to, and needs no others: bucket is
// [Options.Bucket], or its default if that is empty. The buckets themselves may be made by somebody who may more; then a node needs
// no STREAM.CREATE.
func Permissions(bucket string) (publish, subscribe []string) {
	if bucket == "" {
		bucket = "whence"
	}
	ledger, cache, contacts := "KV_"+bucket+"_ledger", "KV_"+bucket+"_cache", "KV_"+bucket+"_contacts"
	for _, stream := range []string{ledger, cache, contacts} {
		publish = append(publish,
			"$KV."+stream[len("KV_"):]+".>", // names, answers
			"$JS.API.STREAM.INFO."+stream,   // to find the bucket
			"$JS.API.STREAM.CREATE."+stream, // to make it
		)
	}
	for _, stream := range []string{ledger, cache} {
		publish = append(publish,
			"$KV."+stream[len("KV_"):]+".>",          // names, answers
			"$JS.API.STREAM.INFO."+stream,            // to find the bucket
			"$JS.API.STREAM.CREATE."+stream,          // to make it
			"$JS.API.STREAM.PURGE."+stream,           // to forget
			"$JS.API.CONSUMER.CREATE."+stream+".>",   // to follow it, and for first contacts
			"$JS.API.CONSUMER.MSG.NEXT."+stream+".>", // likewise
		)
	}
	publish = append(publish,
		"$JS.API.STREAM.MSG.GET."+ledger,     // a record
		"$JS.API.STREAM.MSG.GET."+contacts,   // whose a first contact is
		"$JS.API.CONSUMER.INFO."+ledger+".>", // first contacts
		"$JS.ACK."+ledger+".>",               // that they are emitted
		"$JS.API.DIRECT.GET."+cache+".>",     // an answer
		"$JS.API.STREAM.MSG.DELETE."+cache,   // to purge
	)
	return publish, []string{"_INBOX.>"}
}
