// TCPRuntime
