package caddywhois

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/ports"
)

// Port is the port of WHOIS (RFC 3912).
const Port = 43

// Server is one WHOIS server.
type Server struct {
	// The addresses to listen on: `host:port`, `unix//path` or `fd/n`; an empty host is all addresses, of both families.
	// Default: `:43`.
	Listen []string `json:"listen,omitempty"`
	Settings
	// Wrappers around the listeners, such as proxy_protocol. Default: none.
	ListenerWrappersRaw []json.RawMessage `json:"listener_wrappers,omitempty" caddy:"namespace=caddy.listeners inline_key=wrapper"`

	addresses []caddy.NetworkAddress
	wrappers  []caddy.ListenerWrapper
	engine    *Engine
	logger    *zap.Logger
	held      []*held
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
	if s.ListenerWrappersRaw != nil {
		mods, err := ctx.LoadModule(s, "ListenerWrappersRaw")
		if err != nil {
			return fmt.Errorf("listener wrappers: %w", err)
		}
		for _, m := range mods.([]any) {
			s.wrappers = append(s.wrappers, m.(caddy.ListenerWrapper))
		}
	}
	var keys []string
	for _, na := range s.addresses {
		keys = append(keys, ports.Key(na))
	}
	var err error
	s.engine, err = s.NewEngine(ctx, strings.Join(keys, " "))
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
	if err := s.engine.Open(); err != nil {
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
	s.engine.Drain()
}
