package hub

// Send sends a control frame of the connection, such as a pong, behind everything sent before. It refuses, false, when
// too much waits already or the session has ended.
func (s *Session) Send(frame []byte) bool { return s.outbox.Send(frame) }
