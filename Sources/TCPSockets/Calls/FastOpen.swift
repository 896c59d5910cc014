import TCPEngine
import TCPStack
import TCPWire

// TCP Fast Open by Linux's calls: MSG_FASTOPEN, and TCP_FASTOPEN_CONNECT (RFC 7413, appendix A).
extension VirtualKernel {
    /// Whether `net.ipv4.tcp_fastopen` lets sockets connect with it.
    var mayConnectFast: Bool { settings.fastOpen & 1 != 0 }

    /// Whether `connect` leaves the SYN to the first write: with TCP_FASTOPEN_CONNECT, and a cookie of that server.
    func defersConnect(_ socket: Socket, _ address: SocketAddress) -> Bool {
        guard socket.options.fastOpenConnect, mayConnectFast,
            stack.hasFastOpenCookie(for: Endpoint(address.address, address.port))
        else { return false }
        socket.deferredPeer = address
        return true
    }

    /// Whom a write is to open the connection to; `nil` for one that opens none.
    func fastOpenPeer(
        _ socket: Socket, _ flags: Int32, _ peer: SocketAddress?
    ) throws(Errno) -> SocketAddress? {
        if let deferred = socket.deferredPeer { return deferred }
        guard flags & Linux.MSG_FASTOPEN != 0 else { return nil }
        guard mayConnectFast else { throw .EOPNOTSUPP }
        if socket.isConnected || socket.listener != nil { throw .EISCONN }
        if socket.isConnecting { throw isOpening(socket) ? .EALREADY : .EISCONN }
        guard let peer else { throw .EINVAL }
        guard peer.family == socket.family else { throw .EAFNOSUPPORT }
        return peer
    }

    /// Opens the connection, and with a cookie of the server's sends what the send queue takes along with the SYN. Without one
    /// the SYN asks for a cookie, and the octets wait for the connection: `nil` where the call may wait for that as well.
    func sendFast(
        _ socket: Socket, _ octets: [UInt8], _ flags: Int32, to peer: SocketAddress, _ pending: PendingCall
    ) throws(Errno) -> CallResult? {
        let hasCookie = stack.hasFastOpenCookie(for: Endpoint(peer.address, peer.port))
        try beginConnect(socket, peer, fastOpen: true)
        if hasCookie {
            try queue(socket, octets, more: flags & Linux.MSG_MORE != 0, pending)
            if pending.written == octets.count { return CallResult(pending.written) }
        }
        guard socket.isNonBlocking || flags & Linux.MSG_DONTWAIT != 0 else { return nil }
        guard pending.written > 0 else { throw .EINPROGRESS }
        return CallResult(pending.written)
    }
}
