import TCPEngine
import TCPStack
import TCPWire

// write, writev, send, sendto, sendmsg.
extension VirtualKernel {
    func write(_ descriptor: Int32, _ octets: [UInt8], _ pending: PendingCall) throws(Errno) -> CallResult? {
        switch try description(descriptor, pending) {
        case .socket(let socket): return try send(socket, octets, 0, pending)
        case .epoll: throw .EINVAL
        case .pipe(let end): return try write(end, octets, pending)
        }
    }

    func send(
        _ socket: Socket, _ octets: [UInt8], _ flags: Int32, to peer: SocketAddress? = nil, _ pending: PendingCall
    ) throws(Errno) -> CallResult? {
        // No urgent data is sent (RFC 6093 §5 asks new applications not to).
        if flags & Linux.MSG_OOB != 0 { throw .EOPNOTSUPP }
        if !pending.isRetry, let peer = try fastOpenPeer(socket, flags, peer),
            let result = try sendFast(socket, octets, flags, to: peer, pending)
        {
            return result
        }
        let nonBlocking = socket.isNonBlocking || flags & Linux.MSG_DONTWAIT != 0
        if isOpening(socket), socket.error == .none, !socket.shutWrite {
            guard mayWait(pending, nonBlocking: nonBlocking, for: socket.options.sendTimeout) else { throw .EAGAIN }
            return nil
        }
        if socket.error != .none || socket.shutWrite || !isWritingOpen(socket) {
            // What was queued counts; the error stays for the next call.
            if pending.written > 0 { return CallResult(pending.written) }
            if socket.error != .none { throw socket.takeError() }
            throw settings.flavour == .freeBSD && !socket.isConnected ? .ENOTCONN : .EPIPE
        }
        let more = flags & Linux.MSG_MORE != 0
        if pending.written < octets.count { try queue(socket, octets, more: more, pending) }
        if pending.written == octets.count { return CallResult(pending.written) }
        if mayWait(pending, nonBlocking: nonBlocking, for: socket.options.sendTimeout) { return nil }
        guard pending.written > 0 else { throw .EAGAIN }
        return CallResult(pending.written)
    }

    private func isWritingOpen(_ socket: Socket) -> Bool {
        guard let id = socket.connection, let details = stack.details(of: id) else { return false }
        return details.state == .established || details.state == .closeWait || details.state == .synReceived
    }

    /// Hands the stack what it has room for.
    func queue(
        _ socket: Socket, _ octets: [UInt8], more: Bool, _ pending: PendingCall
    ) throws(Errno) {
        guard let id = socket.connection else { return }
        let count = min(octets.count - pending.written, writeRoom(socket))
        guard count > 0 else { return }
        let span = octets.span
        let part = span.bytes.extracting(pending.written..<pending.written + count)
        let all = pending.written + count == octets.count
        do throws(ConnectionError) {
            let taken = try stack.write(id, part, more: more && all, at: now)
            pending.written += taken
            socket.octetsWritten += UInt64(taken)
        } catch {
            guard pending.written == 0 else { return }
            throw errno(for: error, socket)
        }
    }

    /// Octets a write would take now: what the stack has room for, within SO_SNDBUF and TCP_NOTSENT_LOWAT.
    func writeRoom(_ socket: Socket) -> Int {
        guard let id = socket.connection, let details = stack.details(of: id) else { return 0 }
        let buffer = socket.options.sendBuffer ?? settings.sendBuffer
        var room = min(details.room, buffer - details.unacknowledged)
        // Linux takes whole writes while less than the mark waits unsent.
        if let mark = socket.options.notSentLowWater, details.unsent >= mark { room = 0 }
        return max(0, room)
    }

    /// What an ended connection's error is to a socket.
    func errno(for error: ConnectionError, _ socket: Socket) -> Errno {
        switch error {
        case .refused: .ECONNREFUSED
        case .reset:
            // Linux: a peer that had closed already is a broken pipe.
            socket.sawEnd && !socket.shutWrite && settings.flavour == .linux ? .EPIPE : .ECONNRESET
        case .timedOut: .ETIMEDOUT
        case .unreachable: socket.softError == .none ? .EHOSTUNREACH : socket.softError
        case .aborted: .ECONNABORTED
        case .closing: .EPIPE
        case .notOpen: .ENOTCONN
        case .noMemory: .ENOBUFS
        }
    }
}
