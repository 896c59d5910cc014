public import TCPEngine
public import TCPWire

/// A TCP/IP host a program carries inside itself.
public struct Stack: ~Copyable {
    public init(configuration: Configuration = Configuration(), secret: StackSecret, at now: Instant = .zero) { fatalError() }
    /// The interface. TUN-like: everything not local goes out of the one link.
    public mutating func addAddress(_ prefix: AddressPrefix) { fatalError() }
    public mutating func removeAddress(_ address: IPAddress) { fatalError() }
    // The link
    public mutating func receive(_ packet: RawSpan, metadata: PacketMetadata = PacketMetadata(), at now: Instant) { fatalError() }
    /// Writes the next packet into `buffer` (>= mtu octets; >= 65_575 when superSegments is on); nil: nothing to send now.
    public mutating func transmit(into buffer: inout MutableRawSpan, at now: Instant) -> TransmittedPacket? { fatalError() }
    /// Whether transmit might have something
    public var wantsToTransmit: Bool { fatalError() }
    /// When `advance(to:)` is next wanted, nil: no timer runs.
    public var nextDeadline: Instant? { fatalError() }
    public mutating func advance(to now: Instant) { fatalError() }
    // The program
    public mutating func nextEvent() -> StackEvent? { fatalError() }
    public mutating func nextStateChange() -> StateChange? { fatalError() }
    /// port 0 is invalid. backlog: the accept queue's limit.
    public mutating func listen(on port: UInt16, address: IPAddress? = nil, backlog: Int = 128, options: ConnectionOptions = ConnectionOptions(), at now: Instant) throws(OpenError) -> ListenerID { fatalError() }
    public mutating func stopListening(_ id: ListenerID, at now: Instant) { fatalError() }
    public mutating func accept(_ id: ListenerID) -> ConnectionID? { fatalError() }
    /// from: nil address/zero port are chosen by the stack.
    public mutating func connect(to remote: Endpoint, from address: IPAddress? = nil, port: UInt16 = 0, options: ConnectionOptions = ConnectionOptions(), at now: Instant) throws(OpenError) -> ConnectionID { fatalError() }
    public mutating func read(_ id: ConnectionID, into buffer: inout MutableRawSpan, at now: Instant) throws(ConnectionError) -> ReadResult { fatalError() }
    /// Takes as many octets as there is room for, and says how many (0: none; .writable will tell).
    public mutating func write(_ id: ConnectionID, _ bytes: RawSpan, at now: Instant) throws(ConnectionError) -> Int { fatalError() }
    /// RFC CLOSE: no more from this side; FIN after what is queued; reading goes on.
    public mutating func close(_ id: ConnectionID, at now: Instant) throws(ConnectionError) { fatalError() }
    /// The program lets go of the handle, which is invalid afterwards. Closes if it was not closed; unread octets cause RST (RFC 9293 SHLD-3).
    public mutating func release(_ id: ConnectionID, at now: Instant) { fatalError() }
    /// RFC ABORT: RST to the peer, everything queued is dropped; the handle is invalid afterwards.
    public mutating func abort(_ id: ConnectionID, at now: Instant) { fatalError() }
    public mutating func setOptions(_ id: ConnectionID, _ options: ConnectionOptions, at now: Instant) { fatalError() }
    public func status(of id: ConnectionID) -> ConnectionStatus? { fatalError() }
    /// All connections, half-open and TIME-WAIT entries, in no order: for tools.
    public func flows() -> [FlowStatus] { fatalError() }
    public var memory: MemoryReport { fatalError() }
    public var counters: Counters { fatalError() }
}

public struct FlowStatus: Sendable, Hashable { public var local: Endpoint; public var remote: Endpoint; public var state: State }

public struct Counters: Sendable {
    public var packetsReceived: UInt64 = 0
    public var packetsSent: UInt64 = 0
    public var segmentsReceived: UInt64 = 0
    public var segmentsSent: UInt64 = 0
    public var segmentsRetransmitted: UInt64 = 0
    public var resetsSent: UInt64 = 0
    public var challengeAcknowledgments: UInt64 = 0
    /// Packets dropped for that reason.
    public subscript(fault: PacketFault) -> UInt64 { 0 }
}
