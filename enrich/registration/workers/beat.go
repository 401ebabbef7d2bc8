package workers

import (
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"
)

// beat is what a worker says every second.
type beat struct {
	Node     string    `json:"node"`
	Instance string    `json:"instance"` // of the process: what its direct subject ends in
	Started  time.Time `json:"started"`
	// Connection is how often it was connected again: what was under way before may be lost, on the way there or back.
	Connection uint64   `json:"connection,omitempty"`
	Egress     []string `json:"egress,omitempty"` // networks that registries see it in, or its word for them
	UnderWay   int      `json:"under_way"`
	Done       uint64   `json:"done"`     // errands with an answer
	Failed     uint64   `json:"failed"`   // errands without
	Declined   uint64   `json:"declined"` // errands that it had no turn for
	Leaving    bool     `json:"leaving,omitempty"`
}

// maxBeat is what a beat may be long.
const maxBeat = 16 << 10

func parseBeat(b []byte) (*beat, error) {
	if len(b) > maxBeat {
		return nil, errors.New("a beat that is too long")
	}
	v := new(beat)
	if err := json.Unmarshal(b, v); err != nil {
		return nil, err
	}
	if !nodeName.MatchString(v.Node) || !nodeName.MatchString(v.Instance) || v.UnderWay < 0 {
		return nil, errors.New("a beat without a name")
	}
	return v, nil
}

// counts are what a worker has done.
type counts struct{ done, failed, declined atomic.Uint64 }

// beats sends a beat now and then one each period, until the node is closed.
func (d *desk) beats() {
	t := time.NewTicker(d.n.opt.Beat)
	defer t.Stop()
	for {
		d.beat(false)
		select {
		case <-t.C:
		case <-d.n.ctx.Done():
			d.beat(true)
			return
		}
	}
}

// beat sends one. While NATS is away none is sent, not even later: it would be about the past.
func (d *desk) beat(leaving bool) {
	nc, err := d.n.conn()
	if err != nil {
		return
	}
	c := &d.n.counts
	b, err := json.Marshal(beat{
		Node: d.n.opt.Node, Instance: d.n.instance, Started: d.started, Connection: d.n.opt.Bus.Status().Reconnects, Egress: d.n.egress(), UnderWay: len(d.slots),
		Done: c.done.Load(), Failed: c.failed.Load(), Declined: c.declined.Load(), Leaving: leaving,
	})
	if err == nil {
		err = nc.Publish(d.n.subject("beat"), b)
	}
	if err == nil && leaving {
		err = nc.FlushTimeout(time.Second)
	}
	if err != nil {
		d.n.log.Load().Debug("a beat could not be sent")
	}
}
