package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// Options are the settings of a Bus. URLs are needed; every other zero value stands for what is named.
type Options struct {
	// URLs are the servers, each nats://host:port or tls://host:port, one of which is connected to. Those of a cluster tell of each
	// other; a server that is not told of here is used only over TLS. A URL has no user or password in it: it is shown in the
	// status.
	URLs []string
	// Name is what NATS's monitoring shows for the connection: "whence".
	Name string

	// One of these, or a certificate in TLS, is who we are. A server that is not on loopback needs it.
	CredsFile      string // JWT and nkey seed in one file, as `nsc generate creds` writes it; read at every connect
	NKeyFile       string // an nkey's seed, as `nk -gen user` writes it; read at every connect
	User, Password string
	Token          string

	// TLS is how servers are checked and with what certificate we come. nil: the system's authorities for URLs with tls://, no TLS
	// for others. With it every server must speak TLS.
	TLS *tls.Config
	// TLSFirst speaks TLS from the first byte, as servers with handshake_first want it: false.
	TLSFirst bool

	// Timeout is how long connecting to one server may take: 2 s.
	Timeout time.Duration
	// PingEvery is how often the server is asked whether it is there; two pings without an answer are a lost connection: 2 s.
	PingEvery time.Duration
	// Logger hears when the connection is lost and made again. It may be nil.
	Logger *zap.Logger
}

// InsecureError is a server that is not on this machine and would be spoken to in the clear, or by nobody in particular.
type InsecureError struct {
	URL  string
	Lack string // what is missing, with its cure
}

func (e *InsecureError) Error() string {
	return fmt.Sprintf("NATS server %s is not on loopback and needs %s", e.URL, e.Lack)
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "whence"
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.PingEvery <= 0 {
		o.PingEvery = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}

// Check says what is wrong with the options: a URL that is none, two credentials, or a server that is not on loopback without TLS or
// without credentials ([InsecureError]). It opens no file and asks nobody: a name is on loopback if it is "localhost".
func (o Options) Check() error {
	if len(o.URLs) == 0 {
		return errors.New("no NATS server is named: give at least one, as in nats://127.0.0.1:4222")
	}
	given := 0
	for _, s := range []string{o.CredsFile, o.NKeyFile, o.User, o.Token} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		return errors.New("more than one of creds file, nkey file, user and token is given for NATS: one is who we are")
	}
	if o.Password != "" && o.User == "" {
		return errors.New("a password is given for NATS and no user")
	}
	certified := o.TLS != nil && (len(o.TLS.Certificates) > 0 || o.TLS.GetClientCertificate != nil)
	for _, s := range o.URLs {
		u, err := parseURL(s)
		if err != nil {
			return err
		}
		if isLoopback(u.Hostname()) {
			continue
		}
		switch {
		case u.Scheme != "tls" && o.TLS == nil:
			return &InsecureError{s, "TLS: write tls:// for " + u.Scheme + "://, or name the authority that signed its certificate"}
		case o.TLS != nil && o.TLS.InsecureSkipVerify && o.TLS.VerifyPeerCertificate == nil && o.TLS.VerifyConnection == nil:
			return &InsecureError{s, "a certificate that is checked: name the authority that signed it"}
		case given == 0 && !certified:
			return &InsecureError{s, "credentials: a creds file, an nkey file, a user with a password, or a client certificate"}
		}
	}
	return nil
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("a URL of a NATS server cannot be read: write it as in tls://nats.example.org:4222") // the text may have a password
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("the URL of NATS server %s has a user in it, and URLs are shown: give user and password, or a file, apart", u.Host)
	case u.Scheme != "nats" && u.Scheme != "tls":
		return nil, fmt.Errorf("NATS server %s is not a URL with nats:// or tls://", u.Redacted())
	case u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return nil, fmt.Errorf("NATS server %s is not of the form %s://host:port", u.Redacted(), u.Scheme)
	}
	return u, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// secured reports that every server must speak TLS.
func (o Options) secured() bool {
	for _, s := range o.URLs {
		if strings.HasPrefix(s, "tls:") {
			return true
		}
	}
	return o.TLS != nil
}

// dialer dials until ctx is done.
type dialer struct {
	ctx context.Context
	net.Dialer
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(d.ctx, network, address)
}

// dialOptions are the options as the client has them.
func (o Options) dialOptions(ctx context.Context) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(o.Name), nats.Timeout(o.Timeout), nats.PingInterval(o.PingEvery), nats.MaxPingsOutstanding(2),
		nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.CustomReconnectDelay(delay), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // what cannot be sent is an error, and not sent later
		nats.SetCustomDialer(&dialer{ctx, net.Dialer{Timeout: o.Timeout}}), nats.SkipHostLookup(), // the dialer looks up, both families
	}
	if o.secured() {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			conf = o.TLS
		}
		opts = append(opts, nats.Secure(conf))
		if o.TLSFirst {
			opts = append(opts, nats.TLSHandshakeFirst())
		}
	} else {
		opts = append(opts, nats.IgnoreDiscoveredServers()) // they may be anywhere, and would be told the password
	}
	switch {
	case o.CredsFile != "":
		opts = append(opts, nats.UserCredentials(o.CredsFile))
	case o.NKeyFile != "":
		opt, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nkey file %s: %w", o.NKeyFile, err)
		}
		opts = append(opts, opt)
	case o.User != "":
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	case o.Token != "":
		opts = append(opts, nats.Token(o.Token))
	}
	return opts, nil
}
