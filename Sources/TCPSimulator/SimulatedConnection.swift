public import TCPEngine
public import TCPStack
public import TCPTrace
public import TCPWire

/// A program on a simulated host: a small state machine that its connection's events drive.
public protocol SimulatedApplication: AnyObject {
    /// The connection was opened, actively or by accept, and is the program's from now on.
    func started(_ connection: SimulatedConnection)
    /// Something about the connection changed.
    func changed(_ readiness: Readiness, _ connection: SimulatedConnection)
}

extension SimulatedApplication {
    /// Does nothing.
    public func started(_ connection: SimulatedConnection) {}
}

/// A program's hold on a connection: the calls of RFC 9293 §3.10, recorded in the trace.
public final class SimulatedConnection {
    /// The host it is on.
    public unowned let host: SimulatedHost
    /// Its name in the stack.
    public let id: ConnectionID
    /// This end.
    public let local: Endpoint
    /// The other end.
    public let remote: Endpoint
    /// The program.
    public internal(set) var application: (any SimulatedApplication)?
    /// Whether the program has let go of it.
    public private(set) var isReleased = false

    init(host: SimulatedHost, id: ConnectionID, local: Endpoint, remote: Endpoint) {
        self.host = host
        self.id = id
        self.local = local
        self.remote = remote
    }

    /// What the stack knows of it; `nil` once it is released.
    public var status: ConnectionStatus? { host.stack.status(of: id) }

    /// What TCP knows of it and of its path; `nil` once it is released.
    public var info: ConnectionInfo? { host.stack.info(of: id) }

    /// The time.
    public var now: Instant { host.simulation.now }

    /// Adds what the program did to the trace.
    public func record(_ action: ApplicationAction) {
        host.drainStateChanges()
        host.simulation.record(
            .action(TracedAction(time: now, end: host.name, local: local, remote: remote, action: action)))
    }

    /// Reads into `buffer`.
    public func read(into buffer: inout MutableRawSpan) throws(ConnectionError) -> ReadResult {
        try host.stack.read(id, into: &buffer, at: now)
    }

    /// Writes as many octets as there is room for, and says how many.
    public func write(_ bytes: RawSpan) throws(ConnectionError) -> Int {
        try host.stack.write(id, bytes, at: now)
    }

    /// Closes the program's direction; reading goes on.
    public func close() {
        record(.close)
        // A connection that is over cannot be closed again; its error has been reported.
        try? host.stack.close(id, at: now)
        host.pump()
    }

    /// Lets go of the connection.
    public func release() {
        guard !isReleased else { return }
        isReleased = true
        if let status, status.unread > 0 {
            record(.closeUnread(status.unread))
        } else {
            record(.release)
        }
        host.forget(self)
        host.stack.release(id, at: now)
        host.pump()
    }

    /// Aborts the connection: RST.
    public func abort() {
        guard !isReleased else { return }
        isReleased = true
        record(.abort)
        host.forget(self)
        host.stack.abort(id, at: now)
        host.pump()
    }
}
