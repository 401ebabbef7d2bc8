package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	mediaType   = "application/dns-message" // RFC 8484 §6
	mostMessage = 0xffff
	mostHeaders = 16 << 10  // bytes of a response's header fields
	mostWindow  = 128 << 10 // bytes of a response's body that may be under way: a message and to spare
)

// target is where a server over HTTPS is asked.
type target struct {
	authority string // with the port
	path      string // with the query
	url       *url.URL
	header    http.Header
	limit     atomic.Int32 // of requests on a connection, as the server has last told; 0: it has not
}

// NewDoH is a server that is asked over HTTPS (RFC 8484): by POST, over HTTP/2 and nothing older, TLS 1.2 at least. It is known by
// Options.URL, or by Host and Path. Its name and keys are verified as those of a server over TLS are. Proxies are not asked,
// redirections not followed. It connects when it is first asked, or warmed.
//
// Queries carry the ID 0, no user agent, and are padded (RFC 8467). A response with another status than 200 or another media type
// than application/dns-message, or too long to be a message, is a fault of the server of the kind "http". MaxInFlight bounds the
// requests under way on a connection, and with them the goroutines; the server may set a lower bound
// (SETTINGS_MAX_CONCURRENT_STREAMS).
func NewDoH(o Options) (*Server, error) {
	if o.Network != "" {
		return nil, errors.New("an upstream server over HTTPS has no other network than TCP")
	}
	path, err := o.locate()
	if err != nil {
		return nil, err
	}
	config, err := o.encryption("h2")
	if err != nil {
		return nil, err
	}
	name := o.Name
	if name == "" {
		name = o.Host
	}
	t := &target{authority: net.JoinHostPort(strings.TrimSuffix(name, "."), strconv.Itoa(int(o.Port))), path: path,
		// An empty User-Agent is none: it would tell queries of one house from those of another (RFC 8484 §8.2).
		header: http.Header{"Content-Type": {mediaType}, "Accept": {mediaType}, "User-Agent": {""}}}
	if t.url, err = url.Parse("https://" + strings.TrimSuffix(t.authority, ":443") + path); err != nil {
		return nil, fmt.Errorf("upstream server %s: %w", o.Host, err)
	}
	return newServer(o, config, t)
}

// locate fills in Host, Name and Port from the URL, or the port alone, and is the path.
func (o *Options) locate() (path string, err error) {
	if o.URL == "" {
		if o.Port == 0 {
			o.Port = 443
		}
		if o.Path == "" {
			o.Path = "/dns-query"
		}
		if o.Path[0] != '/' {
			return "", fmt.Errorf("the path %q of an upstream server does not begin with a slash", o.Path)
		}
		return o.Path, nil
	}
	if o.Port != 0 || o.Path != "" {
		return "", errors.New("an upstream server with a URL has its port and path there")
	}
	u, err := url.Parse(strings.TrimSuffix(o.URL, "{?dns}"))
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("%q is not the URL of a DNS server over HTTPS", o.URL)
	}
	o.Port = 443
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", fmt.Errorf("%q is not a port", p)
		}
		o.Port = uint16(n)
	}
	if o.Host == "" {
		o.Host = u.Hostname()
	} else if _, err := netip.ParseAddr(u.Hostname()); o.Name == "" && (err != nil || len(o.Pins) == 0) {
		o.Name = u.Hostname()
	}
	return u.RequestURI(), nil
}

// client speaks HTTP/2 over a connection. The transport is of this connection alone: no other is opened or kept.
func (h *target) client(ctx context.Context, nc *tls.Conn) (*http.ClientConn, error) {
	if p := nc.ConnectionState().NegotiatedProtocol; p != "h2" {
		return nil, errors.New("the server does not speak HTTP/2")
	}
	t := &http.Transport{
		DialTLSContext:         func(context.Context, string, string) (net.Conn, error) { return nc, nil },
		Protocols:              new(http.Protocols),
		DisableCompression:     true, // padding would be for nothing
		MaxResponseHeaderBytes: mostHeaders,
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: mostWindow, MaxReceiveBufferPerConnection: 8 * mostWindow},
	}
	t.Protocols.SetHTTP2(true)
	return t.NewClientConn(ctx, "https", h.authority)
}

// takeLimit is how many requests http takes. Before the first answer, which comes after the server's settings, that is what net/http
// assumes, and what the last connection was told is better.
func (c *conn) takeLimit(free, busy int) {
	h, n := c.s.http, free+busy
	if c.answers.Load() > 0 {
		if free > 0 { // else it may have been told to go
			h.limit.Store(int32(n))
		}
	} else if told := int(h.limit.Load()); told > 0 {
		n = min(n, told)
	}
	c.most.Store(int32(min(n, c.s.o.MaxInFlight)))
}

// post is the answer to a query. That it is one to the question is not looked at. err has a kind that says whose fault it is, where the
// connection stands.
func (h *target) post(ctx context.Context, c http.RoundTripper, query []byte) (reply []byte, kind failure, err error) {
	r := (&http.Request{Method: http.MethodPost, URL: h.url, Host: h.url.Host, Header: h.header,
		Body: io.NopCloser(bytes.NewReader(query)), ContentLength: int64(len(query))}).WithContext(ctx)
	response, err := c.RoundTrip(r)
	if err != nil {
		return nil, failLost, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, failHTTP, fmt.Errorf("the server answered with HTTP status %d", response.StatusCode)
	}
	if t, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || t != mediaType {
		return nil, failHTTP, errors.New("the server answered with something else than a DNS message")
	}
	if reply, err = io.ReadAll(io.LimitReader(response.Body, mostMessage+1)); err != nil {
		return nil, failLost, err
	}
	if len(reply) > mostMessage {
		return nil, failHTTP, errors.New("the server answered with more than a DNS message")
	}
	if len(reply) < headerSize {
		return nil, failFormat, errFrame
	}
	if age, err := strconv.ParseUint(response.Header.Get("Age"), 10, 31); err == nil && age > 0 {
		grow(reply, uint32(age))
	}
	return reply, failNone, nil
}

// grow takes the time that a reply has spent in an HTTP cache from its TTLs (RFC 8484 §5.1), as far as it is well-formed.
func grow(msg []byte, age uint32) {
	at := headerSize
	for range binary.BigEndian.Uint16(msg[4:]) {
		at = skipName(msg, at) + 4
	}
	for range int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:])) + int(binary.BigEndian.Uint16(msg[10:])) {
		if at = skipName(msg, at); at+10 > len(msg) {
			return
		}
		if ttl := binary.BigEndian.Uint32(msg[at+4:]); binary.BigEndian.Uint16(msg[at:]) != typeOPT {
			binary.BigEndian.PutUint32(msg[at+4:], ttl-min(ttl, age))
		}
		at += 10 + int(binary.BigEndian.Uint16(msg[at+8:]))
	}
}
