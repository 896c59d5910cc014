import TCPSockets
import Testing
