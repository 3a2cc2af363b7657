package broker_test

import (
	"testing"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }
