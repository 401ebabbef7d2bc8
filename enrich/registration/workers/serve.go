package workers

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

// desk is where a worker takes errands.
type desk struct {
	n       *Node
	run     Runner
	slots   chan struct{} // one an errand under way
	started time.Time
}

// What a worker goes by.
const (
	lastWords = 5 * time.Second // that errands under way have when the node is closed
	longest   = 3 * time.Minute // of one errand
	maxErrand = 4 << 10         // bytes
	tooMuch   = 250 * time.Millisecond
)

// serve takes errands until the node is closed: at a subject of its own, for those who know which worker they want, and at one that
// all workers share, for those who do not care.
func (n *Node) serve(run Runner) {
	nc, err := n.opt.Bus.Wait(n.ctx)
	if err != nil {
		return
	}
	d := &desk{n: n, run: run, slots: make(chan struct{}, n.opt.MaxUnderWay), started: time.Now().UTC()}
	service, err := micro.AddService(nc, micro.Config{
		Name: n.opt.Prefix + "-lookup", Version: n.opt.Version, Description: "looks registrations up at their registries",
		Metadata: map[string]string{"node": n.opt.Node},
	})
	if err == nil {
		err = service.AddEndpoint("lookup", micro.HandlerFunc(d.take), micro.WithEndpointSubject(n.subject("lookup")),
			micro.WithEndpointQueueGroup("lookup"))
	}
	if err == nil {
		err = service.AddEndpoint("direct", micro.HandlerFunc(d.take), micro.WithEndpointSubject(n.direct(n.instance)),
			micro.WithEndpointQueueGroupDisabled())
	}
	if err == nil {
		err = nc.Flush() // whoever hears the first beat may send
	}
	if err != nil {
		n.log.Load().Error("errands cannot be taken", zap.Error(err))
		return
	}
	n.serving.Store(d)
	n.log.Load().Info("taking errands", zap.String("node", n.opt.Node), zap.Strings("egress", n.egress()))
	d.beats()
	n.serving.Store(nil)
	_ = service.Stop()
	d.drain()
}

// direct is the subject of one worker.
func (n *Node) direct(instance string) string { return n.subject("lookup." + instance) }

// drain waits for the errands under way.
func (d *desk) drain() {
	t := time.NewTimer(lastWords)
	defer t.Stop()
	for range cap(d.slots) {
		select {
		case d.slots <- struct{}{}:
		case <-t.C:
			return
		}
	}
}

// take takes an errand, and returns at once: the service hands them over one after the other.
func (d *desk) take(req micro.Request) {
	var e registration.Errand
	if len(req.Data()) > maxErrand || json.Unmarshal(req.Data(), &e) != nil {
		_ = req.Error("400", "not an errand", nil)
		return
	}
	select {
	case d.slots <- struct{}{}:
	default:
		d.n.counts.declined.Add(1)
		d.answer(req, registration.Outcome{
			Declined: true, Kind: enrich.Unfetched, Text: "the worker has too much to do", Soon: true, Again: time.Now().Add(tooMuch),
		})
		return
	}
	go func() {
		defer func() { <-d.slots }()
		// An errand that has begun is ended though the node is closed: others need not begin it again.
		ctx, cancel := context.WithTimeout(context.Background(), longest)
		defer cancel()
		o, err := d.run.Run(ctx, e)
		if errors.Is(err, context.DeadlineExceeded) {
			o, err = registration.Outcome{Kind: enrich.Failed, Text: "it took the worker too long", Fault: registration.Timeout}, nil
		}
		d.n.counted(o, err)
		if err != nil {
			_ = req.Error("400", err.Error(), nil)
			return
		}
		d.answer(req, o)
	}()
}

// answer answers. What the server wrote, word by word, is left out where the message would be too long with it.
func (d *desk) answer(req micro.Request, o registration.Outcome) {
	b, err := json.Marshal(o)
	nc, away := d.n.conn()
	if err == nil && away == nil && int64(len(b)) > nc.MaxPayload()-1024 && o.Raw != nil {
		o.Raw = nil
		b, err = json.Marshal(o)
	}
	if err == nil {
		err = req.Respond(b)
	}
	if err != nil {
		d.n.log.Load().Debug("an errand's outcome cannot be sent", zap.Error(err))
	}
}
