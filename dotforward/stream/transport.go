package stream

// Transport is what a query came over.
type Transport uint8

// The transports of queries.
const (
	UDP   Transport = iota
	TCP             // RFC 7766
	TLS             // RFC 7858
	HTTPS           // RFC 8484
)
