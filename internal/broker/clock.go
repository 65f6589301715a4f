package broker

import "time"

// noticeable is from which difference of clocks on the log says so.
const noticeable = 5 * time.Second

// slow is from which time for an answer on nothing is learned from it.
const slow = 500 * time.Millisecond

// compareClocks takes in when NATS answered something that was asked and
// answered at times of this process's clock. A difference that the way there
// and back explains is none.
func (b *Broker) compareClocks(asked, told, answered time.Time) {
	if told.IsZero() {
		return
	}
	way := answered.Sub(asked)
	if way > slow {
		return // it says too little
	}
	skew := told.Sub(asked.Add(way / 2))
	if skew.Abs() <= way {
		skew = 0
	}
	before := time.Duration(b.skew.Swap(int64(skew)))
	if (skew.Abs() > noticeable) != (before.Abs() > noticeable) {
		b.logger.WithField("differs", skew.Round(time.Millisecond)).
			Warn("this machine's clock and NATS's differ: what is agreed on with others goes by NATS's; check this machine's")
	}
}
