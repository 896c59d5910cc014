// TCPTrace
