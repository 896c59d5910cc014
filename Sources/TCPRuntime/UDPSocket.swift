public import TCPStack
public import TCPWire

/// An open UDP socket (RFC 768).
///
/// When the last reference goes, it is closed; what is queued still leaves.
public final class UDPSocket: Sendable {
    /// The host whose socket this is.
    public let host: Host
    /// The stack's name for it.
    public let id: UDPSocketID
    /// This host's end when it was opened; the address is unspecified for a socket of all addresses.
    public let local: Endpoint

    init(host: Host, id: UDPSocketID, local: Endpoint) {
        self.host = host
        self.id = id
        self.local = local
    }

    deinit {
        let id = self.id
        let host = self.host
        host.loop.onLoop { _ in host.here { $0.closeUDP(id) } }
    }

    /// Waits for a datagram.
    ///
    /// - Parameter limit: the most octets to keep of it, 0...65,527; those past it are gone.
    /// - Returns: the octets, and what is known of the datagram.
    /// - Throws: `DatagramError`, among them what ICMP said of what a connected socket sent, once; `notOpen` once the socket
    ///   or its host is closed; `CancellationError`.
    public nonisolated(nonsending) func receive(
        upTo limit: Int = 65_527
    ) async throws -> (bytes: [UInt8], datagram: ReceivedDatagram) {
        try await host.receiveDatagram(id, upTo: limit)
    }

    /// Sends a datagram, waiting until there is room to queue it.
    ///
    /// - Parameters:
    ///   - destination: where it goes; `nil` is the peer of a connected socket.
    ///   - source: the address of this host to send from, where the socket is for all of them; `nil` lets the stack choose.
    ///     An answer is best sent from the request's `destination`.
    /// - Throws: `DatagramError`; `CancellationError`.
    public nonisolated(nonsending) func send(
        _ bytes: [UInt8], to destination: Endpoint? = nil, from source: IPAddress? = nil
    ) async throws {
        try await host.sendDatagram(id, bytes, to: destination, from: source)
    }

    /// Ties the socket to one peer: it hears that one only, and is told of errors.
    ///
    /// - Throws: `OpenError`.
    public nonisolated(nonsending) func connect(to peer: Endpoint) async throws {
        try await host.connectUDP(id, to: peer)
    }

    /// Closes the socket: what was not read is dropped, whoever waits is told `notOpen`.
    public nonisolated(nonsending) func close() async { await host.closeUDP(id) }
}
