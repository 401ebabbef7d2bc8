package livelog

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestLogsToTheNewest(t *testing.T) {
	var ls Loggers
	long := ls.Logger().With(zap.String("thing", "store"))
	long.Info("before any configuration")
	oldCore, oldLogs := observer.New(zap.InfoLevel)
	newCore, newLogs := observer.New(zap.WarnLevel)
	ls.Push(zap.New(oldCore).Named("old"))
	long.Info("one")
	withdraw := ls.Push(zap.New(newCore).Named("new"))
	long.Info("below the newest's level")
	long.Warn("two")
	withdraw()
	long.Info("three")
	if n := oldLogs.Len(); n != 2 || oldLogs.All()[1].Message != "three" || oldLogs.All()[0].LoggerName != "old" {
		t.Errorf("the first configuration heard %v", oldLogs.All())
	}
	if n := newLogs.Len(); n != 1 || newLogs.All()[0].Message != "two" || newLogs.All()[0].ContextMap()["thing"] != "store" {
		t.Errorf("the second configuration heard %v", newLogs.All())
	}
}
