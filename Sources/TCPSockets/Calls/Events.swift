import TCPEngine
import TCPStack
import TCPWire

// What the stack reports, and what that is to sockets.
extension VirtualKernel {
    func take(_ event: StackEvent) {
        switch event {
        case .acceptable(let id): listeners[id]?.stirred |= Linux.POLLIN
        case .datagrams: break
        case .connection(let id, let readiness):
            guard let socket = connections[id] else { return }
            take(readiness, socket, id)
        }
    }

    private func take(_ readiness: Readiness, _ socket: Socket, _ id: ConnectionID) {
        if readiness.contains(.opened) {
            socket.stirred |= Linux.POLLOUT
            // R2 was the SYN's alone.
            if socket.options.synRetries > 0 { stack.setOptions(id, socket.options.forConnection, at: now) }
        }
        if readiness.contains(.readable) { socket.stirred |= Linux.POLLIN }
        if readiness.contains(.writable) { socket.stirred |= Linux.POLLOUT }
        if readiness.contains(.urgent) { socket.stirred |= Linux.POLLPRI }
        if readiness.contains(.endOfStream) {
            socket.sawEnd = true
            socket.stirred |= Linux.POLLIN | Linux.POLLRDHUP
        }
        if readiness.contains(.troubled) || readiness.contains(.ended), let status = stack.status(of: id) {
            let pair = FlowPair(local: status.local, remote: status.remote)
            if let told = traffic[pair]?.complaint { socket.softError = told }
        }
        if readiness.contains(.ended) { ended(socket, id) }
    }

    private func ended(_ socket: Socket, _ id: ConnectionID) {
        guard let status = stack.status(of: id) else { return }
        socket.stirred |= Linux.POLLIN | Linux.POLLOUT | Linux.POLLHUP | Linux.POLLRDHUP
        guard let error = status.error, error != .aborted else { return }
        socket.error = errno(for: error, socket)
        socket.stirred |= Linux.POLLERR
    }
}
