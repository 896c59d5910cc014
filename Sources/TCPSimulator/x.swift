// TCPSimulator
