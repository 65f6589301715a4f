package worker

import "github.com/towpath/towpath/internal/broker"

// bury stores the delivery as a dead letter.
func (d *delivery) bury(reason string) error {
	letter := broker.DeadLetter{
		Operation: d.operation, Installation: d.message.Lane().Installation(), Reason: reason,
		Attempts: d.past.Attempts, Errors: d.past.Errors,
	}
	if err := d.Broker.Bury(d.running, d.message, letter, d.event.ID()); err != nil {
		return err
	}
	d.log().WithField("reason", reason).WithField("attempts", letter.Attempts).Error("delivery given up, it is a dead letter")
	return nil
}
