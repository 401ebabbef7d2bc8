// Package livelog is a logger for what outlives configurations: it writes to the logger of the newest one.
package livelog

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/internal/newest"
)

// Loggers are the loggers of the configurations that use a thing. The zero value is ready.
type Loggers struct{ stack newest.Stack[*zap.Logger] }

// Push has the thing log to l from now on, until the configuration withdraws it.
func (ls *Loggers) Push(l *zap.Logger) (withdraw func()) { return ls.stack.Push(l) }

// Logger is what the thing logs to.
func (ls *Loggers) Logger() *zap.Logger { return zap.New(&core{loggers: ls}) }

// core hands entries on to the newest logger's core.
type core struct {
	loggers *Loggers
	with    []zapcore.Field
}

func (c *core) current() (current zapcore.Core) {
	current = zapcore.NewNopCore()
	c.loggers.stack.Do(func(l *zap.Logger) { current = l.Core() })
	return current
}

func (c *core) Enabled(level zapcore.Level) bool { return c.current().Enabled(level) }

func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{c.loggers, append(c.with[:len(c.with):len(c.with)], fields...)}
}

func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	c.loggers.stack.Do(func(l *zap.Logger) { e.LoggerName = l.Name() })
	return c.current().With(c.with).Check(e, ce)
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.current().With(c.with).Write(e, fields)
}

func (c *core) Sync() error { return c.current().Sync() }
