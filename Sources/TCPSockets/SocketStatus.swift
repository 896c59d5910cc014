public import TCPEngine
public import TCPWire

/// What is known of a socket, for reports of failures.
public struct SocketStatus: Hashable, Sendable {
    /// The descriptor.
    public var descriptor: Int32
    /// The RFC's state.
    public var state: State
    /// This host's end; `nil` for a socket that is not bound.
    public var local: Endpoint?
    /// The other end, of a connection.
    public var remote: Endpoint?
    /// What `TCP_INFO` says.
    public var info: TCPInfo
    /// An error that the next call reports.
    public var error: Errno
    /// Octets that wait to be read.
    public var unread: Int
    /// Octets written and not acknowledged.
    public var unacknowledged: Int
}

extension VirtualKernel {
    /// Every socket that has a descriptor, by descriptor.
    public func sockets() -> [SocketStatus] { descriptors.keys.sorted().compactMap(status(of:)) }

    /// What is known of the socket with this descriptor; `nil` when it is none.
    public func status(of descriptor: Int32) -> SocketStatus? {
        guard case .socket(let socket)? = descriptors[descriptor] else { return nil }
        return status(of: socket, descriptor)
    }

    /// What `TCP_INFO` says of the socket with this descriptor; `nil` when it is none.
    public func information(of descriptor: Int32) -> TCPInfo? { status(of: descriptor)?.info }

    private func status(of socket: Socket, _ descriptor: Int32) -> SocketStatus {
        SocketStatus(
            descriptor: descriptor, state: .closed, local: nil, remote: nil, info: TCPInfo(), error: .none, unread: 0,
            unacknowledged: 0)
    }
}
