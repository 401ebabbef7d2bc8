package caddywhois

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/ports"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/layer4whois"
)

// Port is the port of WHOIS (RFC 3912).
const Port = 43

// Server is one WHOIS server.
type Server struct {
	// The addresses to listen on: `host:port`, `unix//path` or `fd/n`; an empty host is all addresses, of both families.
	// Default: `:43`.
	Listen []string `json:"listen,omitempty"`
	// The enrichment chain that is asked. Default: `default`.
	Enrich string `json:"enrich,omitempty"`
	// The form of answers to queries that choose none: lines, aligned, cymru or json. Default: lines.
	Dialect string `json:"dialect,omitempty"`
	// How long a query waits for sources that must fetch; bulk lines never do. Default: 2s.
	Wait *caddy.Duration `json:"wait,omitempty"`
	// How many connections one client network may open. Its bits count for max_connections_per_client, too. Default: no limit.
	Limit *args.Limit `json:"limit,omitempty"`
	// The most connections at the same time. Default: 1024.
	MaxConnections int `json:"max_connections,omitempty"`
	// The most connections of one client network at the same time. Default: 64.
	MaxConnectionsPerClient int `json:"max_connections_per_client,omitempty"`
	// How long a client may take.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// The networks that may ask. Default: all.
	Allow []string `json:"allow,omitempty"`
	// The networks that may not ask, even those that allow names. Default: none.
	Deny []string `json:"deny,omitempty"`
	// Lines that end every answer in the dialects lines and aligned, such as an attribution. Default: none.
	Footer []string `json:"footer,omitempty"`
	// End those answers with what the licences of the data ask to be shown which are loaded, too. Default: false.
	FooterAttribution bool `json:"footer_attribution,omitempty"`
	// Write an access line for each line of a bulk connection too. Default: one for the connection.
	LogBulkLines bool `json:"log_bulk_lines,omitempty"`
	// Wrappers around the listeners, such as proxy_protocol. Default: none.
	ListenerWrappersRaw []json.RawMessage `json:"listener_wrappers,omitempty" caddy:"namespace=caddy.listeners inline_key=wrapper"`

	addresses []caddy.NetworkAddress
	wrappers  []caddy.ListenerWrapper
	chain     *enrich.Chain
	engine    *layer4whois.Server
	logger    *zap.Logger
	state     clientState
	stateKey  string
	held      []*held
}

// Timeouts bound a connection, whatever the pace at which a client sends or reads.
type Timeouts struct {
	// Until the first line is complete. Default: 30s.
	Query caddy.Duration `json:"query,omitempty"`
	// Until the next line is complete, on a connection that has asked. Default: 3m.
	Idle caddy.Duration `json:"idle,omitempty"`
	// Until the client has read the next 64 KiB of an answer. Default: 1m.
	Write caddy.Duration `json:"write,omitempty"`
	// From accept to close. Default: 24h.
	Total caddy.Duration `json:"total,omitempty"`
}

// held is a socket while the server uses it.
type held struct {
	port   *ports.Port
	detach func()
	pipe   net.Listener // what listener wrappers wrap; nil without
}

func (s *Server) provision(ctx caddy.Context) error {
	s.logger = ctx.Logger()
	if err := s.parseAddresses(); err != nil {
		return err
	}
	app, err := ctx.App("enrich")
	if err != nil {
		return err
	}
	if s.chain, err = app.(*caddyenrich.App).Chain(s.Enrich); err != nil {
		return err
	}
	if s.ListenerWrappersRaw != nil {
		mods, err := ctx.LoadModule(s, "ListenerWrappersRaw")
		if err != nil {
			return fmt.Errorf("listener wrappers: %w", err)
		}
		for _, m := range mods.([]any) {
			s.wrappers = append(s.wrappers, m.(caddy.ListenerWrapper))
		}
	}
	if err := s.acquireState(); err != nil {
		return err
	}
	o, err := s.options()
	if err != nil {
		return err
	}
	s.engine, err = layer4whois.New(o)
	return err
}

func (s *Server) parseAddresses() error {
	listen := s.Listen
	if len(listen) == 0 {
		listen = []string{""}
	}
	repl := caddy.NewReplacer()
	for _, address := range listen {
		address, err := repl.ReplaceOrErr(address, true, true)
		if err != nil {
			return err
		}
		na, err := ports.Parse(address, Port)
		if err != nil {
			return err
		}
		s.addresses = append(s.addresses, na)
	}
	return nil
}

// start listens on every address and has the connections served.
func (s *Server) start(ctx caddy.Context) error {
	if err := s.chain.Open(ctx); err != nil {
		return err
	}
	for _, na := range s.addresses {
		port, err := ports.Acquire(ctx, "whois", na)
		if err != nil {
			return err
		}
		s.held = append(s.held, s.attach(port))
		s.logger.Info("listening", zap.String("address", port.Addr().String()))
	}
	return nil
}

func (s *Server) attach(port *ports.Port) *held {
	serve := func(c net.Conn) { go s.engine.ServeConn(c) }
	if len(s.wrappers) == 0 {
		return &held{port: port, detach: port.Attach(serve)}
	}
	p := newPipe(port.Addr())
	wrapped := wrap(p, s.wrappers)
	go acceptAll(wrapped, serve)
	return &held{port: port, detach: port.Attach(p.deliver), pipe: wrapped}
}

// stop lets the sockets go and the connections finish.
func (s *Server) stop() {
	if s.held == nil {
		return
	}
	for _, h := range s.held {
		h.detach()
		if h.pipe != nil {
			h.pipe.Close()
		}
		if err := h.port.Release(); err != nil {
			s.logger.Error("closing socket", zap.String("address", h.port.Addr().String()), zap.Error(err))
		}
	}
	s.held = nil
	if caddy.Exiting() {
		s.drain()
	} else {
		go s.drain()
	}
}

// grace is how long connections may finish when their configuration ends.
const grace = 10 * time.Second

func (s *Server) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := s.engine.Shutdown(ctx); err != nil {
		s.logger.Info("connections were cut when their configuration ended", zap.Error(err))
	}
}
