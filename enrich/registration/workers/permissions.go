package workers

import "cmp"

// Permissions are the subjects that a node's user in NATS may publish to and subscribe to, and needs no others, beside those of the
// store: prefix is [Options.Prefix], or its default if that is empty. A worker serves too, and must be let answer what it is asked
// (allow_responses, one answer within 4 minutes).
func Permissions(prefix string, worker bool) (publish, subscribe []string) {
	prefix = cmp.Or(prefix, "whence")
	jobs, leases, used, work := prefix+"_jobs", "KV_"+prefix+"_leases", "KV_"+prefix+"_used", "KV_"+prefix+"_work"
	publish = []string{
		"$JS.API.INFO",
		prefix + ".lookup.*", // an errand, to one worker
		prefix + ".jobs.>",   // a name on the list
		"$KV." + prefix + "_leases.>",
		"$KV." + prefix + "_used.>",
		"$KV." + prefix + "_work.>",
	}
	for _, stream := range []string{jobs, leases, used, work} {
		publish = append(publish, "$JS.API.STREAM.INFO."+stream, "$JS.API.STREAM.CREATE."+stream)
	}
	for _, bucket := range []string{leases, used, work} {
		publish = append(publish, "$JS.API.DIRECT.GET."+bucket+".>")
	}
	publish = append(publish,
		"$JS.API.CONSUMER.CREATE."+work+".>", // to list what is noted
		"$JS.API.CONSUMER.DELETE."+work+".>",
		"$JS.API.CONSUMER.CREATE."+jobs+".>", // an operator's
		"$JS.API.STREAM.PURGE."+jobs,         // to stop
	)
	subscribe = []string{"_INBOX.>", prefix + ".beat"}
	if !worker {
		return publish, subscribe
	}
	publish = append(publish,
		prefix+".beat",
		"$JS.API.CONSUMER.LIST."+jobs,
		"$JS.API.CONSUMER.INFO."+jobs+".>",
		"$JS.API.CONSUMER.MSG.NEXT."+jobs+".>",
		"$JS.ACK."+jobs+".>",
	)
	return publish, append(subscribe, prefix+".lookup", prefix+".lookup.*", "$SRV.>")
}
