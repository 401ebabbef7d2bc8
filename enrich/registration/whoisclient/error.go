package whoisclient

import (
	"context"
	"errors"
	"net"

	"github.com/whence-project/whence/internal/egress"
)

// Stage is how far a query came.
type Stage uint8

// The stages of a query. A timeout is one wherever it happens, so is a context that ended.
const (
	Invalid Stage = iota // the name cannot be asked for, nothing was sent
	Resolve              // the server's name does not resolve
	Refused              // the server's address must not be dialled
	Connect              // no connection, to the server or to a proxy before it
	Write                // the query could not be sent
	Read                 // the reply broke off, or did not begin
	Timeout              // the server, or a proxy or resolver before it, took too long
	Empty                // the connection was closed in good order without a reply
)

var stageNames = [...]string{"invalid", "resolve", "refused", "connect", "write", "read", "timeout", "empty"}

// String is the stage in lower case, fit for a metric's label.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "unknown"
}

// Error is what came of a query instead of a whole reply.
type Error struct {
	Server string // "host", or "host:port" where that is not 43
	Stage  Stage
	Err    error // the cause; [context.Canceled] or [context.DeadlineExceeded] where the context ended after connecting
}

func (e *Error) Error() string {
	return "WHOIS server " + e.Server + ": " + e.Stage.String() + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether it took too long, as [net.Error] has it.
func (e *Error) Timeout() bool { return e.Stage == Timeout }

// Temporary is there because [net.Error] wants it.
func (e *Error) Temporary() bool { return e.Stage != Invalid && e.Stage != Refused }

// dialStage tells the stage from what dialling said.
func dialStage(err error) Stage {
	var refused *egress.RefusedError
	var proxy *egress.ProxyError
	var dns *net.DNSError
	switch {
	case errors.As(err, &refused):
		return Refused
	case errors.As(err, &proxy): // whose own name may be what does not resolve
		return stageOf(err, Connect)
	case errors.As(err, &dns):
		return stageOf(err, Resolve)
	}
	return stageOf(err, Connect)
}

// stageOf is stage, unless err is that time ran out.
func stageOf(err error, stage Stage) Stage {
	var timeout net.Error
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout() {
		return Timeout
	}
	return stage
}
