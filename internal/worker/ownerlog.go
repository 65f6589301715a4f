package worker

import (
	"io"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/handlers"
)

// OwnerLog returns a logger whose lines are kept for the bot's owner, at every
// level, and stand in the operator's log too, at the operator's level.
func OwnerLog(b *broker.Broker, operator *logrus.Logger) *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetLevel(logrus.TraceLevel)
	logger.AddHook(ownerLog{b, operator})
	return logger
}

type ownerLog struct {
	broker   *broker.Broker
	operator *logrus.Logger
}

// Levels are all: what is worth a line, the integration decides.
func (ownerLog) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (l ownerLog) Fire(entry *logrus.Entry) error {
	l.operator.WithTime(entry.Time).WithFields(entry.Data).Log(entry.Level, entry.Message)
	line := broker.LogLine{Time: entry.Time.UTC(), Level: entry.Level.String(), Message: entry.Message}
	line.Bot, _ = entry.Data["bot"].(string)
	line.Alias, _ = entry.Data["alias"].(string)
	line.Delivery, _ = entry.Data["delivery"].(string)
	line.Attempt, _ = entry.Data["attempt"].(int)
	if cause, ok := entry.Data[logrus.ErrorKey].(error); ok {
		line.Error = handlers.Judge(cause).Message
	}
	// A line that cannot be sent is in the operator's log all the same.
	_ = l.broker.Log(line)
	return nil
}
