internal import TCPEngine
public import TCPSockets
public import TCPWire

/// What a script is run on: socket calls, packets, and the only clock there is.
public protocol ScriptKernel: AnyObject {
    /// The time.
    var now: Instant { get }

    /// Lets time pass up to `target`.
    func advance(to target: Instant)

    /// A packet arrives now.
    func inject(_ packet: [UInt8])

    /// The packet that left longest ago and was not taken yet; time passes until one leaves, up to `limit`.
    func packet(before limit: Instant) -> OutgoingPacket?

    /// Carries a call out. `blocks` says whether the script expects it to take its time.
    func submit(_ call: SystemCall, blocks: Bool) -> CallID

    /// What a call came to; `nil` while it blocks.
    func result(of call: CallID) -> CallResult?

    /// What a call came to; time passes until it returns, up to `limit`.
    func result(of call: CallID, before limit: Instant) -> CallResult?

    /// What `TCP_INFO` says of a descriptor, by the names its fields have in C; `nil` when it is no socket's.
    func information(of descriptor: Int32) -> [String: Int64]?

    /// The Fast Open cookie that the stack has for a client; `nil` when it does not tell.
    func fastOpenCookie(client: IPAddress, server: IPAddress) -> [UInt8]?

    /// The state of every connection, a line each.
    func describeConnections() -> [String]
}

extension ScriptKernel {
    /// A stack behind system calls alone tells nobody.
    public func fastOpenCookie(client: IPAddress, server: IPAddress) -> [UInt8]? { nil }
}

/// A virtual kernel, called directly.
public final class DirectKernel: ScriptKernel {
    private let kernel: VirtualKernel

    /// Makes a kernel.
    public init(_ settings: KernelSettings) { kernel = VirtualKernel(settings) }

    /// See `ScriptKernel`.
    public var now: Instant { kernel.now }

    /// See `ScriptKernel`.
    public func fastOpenCookie(client: IPAddress, server: IPAddress) -> [UInt8]? {
        kernel.fastOpenCookie(client: client, server: server)
    }

    /// See `ScriptKernel`.
    public func advance(to target: Instant) { kernel.advance(to: target) }

    /// See `ScriptKernel`.
    public func inject(_ packet: [UInt8]) { kernel.inject(packet) }

    /// See `ScriptKernel`.
    public func packet(before limit: Instant) -> OutgoingPacket? {
        while true {
            if let packet = kernel.nextPacket() { return packet }
            guard let deadline = kernel.nextDeadline, deadline <= limit else { return nil }
            kernel.advance(to: deadline)
        }
    }

    /// See `ScriptKernel`.
    public func submit(_ call: SystemCall, blocks: Bool) -> CallID { kernel.submit(call) }

    /// See `ScriptKernel`.
    public func result(of call: CallID) -> CallResult? { kernel.result(of: call) }

    /// See `ScriptKernel`.
    public func result(of call: CallID, before limit: Instant) -> CallResult? {
        while true {
            if let result = kernel.result(of: call) { return result }
            guard let deadline = kernel.nextDeadline, deadline <= limit else { return nil }
            kernel.advance(to: deadline)
        }
    }

    /// See `ScriptKernel`.
    public func information(of descriptor: Int32) -> [String: Int64]? {
        kernel.information(of: descriptor).map { information in
            Dictionary(information.fields.map { ($0.name, Int64($0.value)) }) { first, _ in first }
        }
    }

    /// See `ScriptKernel`.
    public func describeConnections() -> [String] {
        kernel.sockets().map { socket in
            var text = "socket \(socket.descriptor): \(socket.state.name)"
            if let local = socket.local { text += " \(local)" }
            if let remote = socket.remote { text += " - \(remote)" }
            if socket.unread > 0 { text += ", \(socket.unread) octets unread" }
            if socket.unacknowledged > 0 { text += ", \(socket.unacknowledged) octets unacknowledged" }
            let info = socket.info
            if info.congestionWindow > 0 { text += ", cwnd \(info.congestionWindow)" }
            if info.retransmissionTimeout > 0 { text += ", RTO \(info.retransmissionTimeout / 1000) ms" }
            if socket.error != .none { text += ", error \(socket.error)" }
            return text
        }
    }
}
