// Package caddycluster is the app "nats": a connection to NATS, by which many machines share a store and look registrations up for each
// other. It is the only package that links NATS beside the engines; docs/cluster.md is for those who use it.
package caddycluster

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/cluster"
	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/store/bus"
)

func init() { caddy.RegisterModule(new(App)) }

// App is the connection to NATS, and this machine among the others. Start does not wait for NATS, and nothing else does.
type App struct {
	// URLs of the servers, nats://host:port or tls://host:port; those of a cluster tell of each other. Required. A server that is not
	// on loopback needs TLS and credentials.
	Servers []string `json:"servers"`
	// File with a JWT and an nkey's seed, as `nsc generate creds` writes it. It is read at every connect. Default: none.
	Creds string `json:"creds,omitempty"`
	// File with an nkey's seed, read at every connect. Default: none.
	NKey string `json:"nkey,omitempty"`
	// User. Default: none.
	User string `json:"user,omitempty"`
	// The user's password, as a placeholder: {env.NAME} or {file./path}. Default: none.
	Password string `json:"password,omitempty"`
	// Token, as a placeholder. Default: none.
	Token string `json:"token,omitempty"`
	// Files with the certificates (PEM) of the authorities that signed the servers'. With them every server must speak TLS. Default: the
	// system's, for servers with tls://.
	TrustedCA []string `json:"trusted_ca,omitempty"`
	// The certificate that we come with. It is read at every connect. Default: none.
	ClientCertificate *Certificate `json:"client_certificate,omitempty"`
	// What this machine is called among the others, which must not have the same name: letters, digits, - and _. Default: the host's
	// name.
	Name string `json:"name,omitempty"`
	// The word that all subjects and buckets begin with. Machines with another one are of another cluster. Default: whence.
	Prefix string `json:"prefix,omitempty"`
	// On how many servers of NATS the buckets are when they are made: 1, or 3 in a cluster of three. Default: 1.
	Replicas int `json:"replicas,omitempty"`

	logger *zap.Logger
	events *events.Emitter
	bus    bus.Options
	// Of when secrets are replaced: a hash of all that the connection depends on, or why they cannot be.
	resolving  sync.Once
	secret     string
	unresolved error

	mu      sync.Mutex
	part    cluster.Part
	held    *node
	key     string
	release []func()
}

// Certificate is a certificate and its key, in files (PEM).
type Certificate struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// CaddyModule returns the module's registration.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: cluster.AppName, New: func() caddy.Module { return new(App) }}
}

var word = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Provision reads the settings, and the files that they name. Nothing is connected before Start.
func (a *App) Provision(ctx caddy.Context) (err error) {
	a.logger = ctx.Logger()
	if a.Name == "" {
		a.Name = hostName()
	}
	if a.Prefix == "" {
		a.Prefix = "whence"
	}
	if a.Replicas == 0 {
		a.Replicas = 1
	}
	for option, value := range map[string]string{"name": a.Name, "prefix": a.Prefix} {
		if !word.MatchString(value) {
			return fmt.Errorf("nats: %s %q: want letters, digits, - and _, at most 64", option, value)
		}
	}
	if a.Replicas != 1 && a.Replicas != 3 && a.Replicas != 5 {
		return fmt.Errorf("nats: replicas %d: NATS has 1, 3 or 5", a.Replicas)
	}
	if a.bus, err = a.connection(); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	if a.events, err = events.For(ctx); err != nil {
		return err
	}
	return prom.Register(ctx, connections, machines)
}

// Join implements [cluster.App].
func (a *App) Join(p cluster.Part) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.Serve && a.part.Serve {
		return errors.New("worker: another source registration is one already, and a process is one worker")
	}
	if p.Egress != "" && a.part.Egress != "" && p.Egress != a.part.Egress {
		return fmt.Errorf("egress %s: another source registration has %s, and a process comes from one network", p.Egress, a.part.Egress)
	}
	if p.Manners != nil {
		a.part.Manners = p.Manners
	}
	if p.Egress != "" {
		a.part.Egress = p.Egress
	}
	a.part.Serve = a.part.Serve || p.Serve
	return nil
}

// Key implements [cluster.App].
func (a *App) Key() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.nodeKey()
}

func (a *App) nodeKey() string {
	_ = a.resolve() // an error is that of whoever opens the connection
	return fmt.Sprintf("%s %s %s %d %v %q", a.secret, a.Name, a.Prefix, a.Replicas, a.part.Serve, a.part.Egress)
}

// Node implements [cluster.App].
func (a *App) Node() (cluster.Node, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held != nil {
		return a.held, nil
	}
	a.key = a.nodeKey()
	v, _, err := nodes.LoadOrNew(a.key, func() (caddy.Destructor, error) { return a.open() })
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	a.held = v.(*node)
	a.release = []func(){
		a.held.loggers.Push(a.logger), a.held.bus.loggers.Push(a.logger), a.held.events.Push(a.events),
	}
	return a.held, nil
}

// opened is the node if it is open, else nil.
func (a *App) opened() *node {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

// Start begins to connect, and to listen for the others.
func (a *App) Start() error {
	_, err := a.Node()
	return err
}

// Stop does nothing: doors that are being drained still ask. Cleanup lets go.
func (a *App) Stop() error { return nil }

// Cleanup lets the node go, and with the last configuration that uses it the connection.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		return nil
	}
	a.held = nil
	for _, release := range a.release {
		release()
	}
	_, err := nodes.Delete(a.key)
	return err
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ cluster.App        = (*App)(nil)
)
