internal import TCPEngine
public import TCPStack
public import TCPWire

/// An open connection. One task at a time may read it, and one may write it; these may be two tasks.
///
/// When the last reference goes, the connection is closed as by `close()`.
public final class TCPConnection: Sendable {
    /// The host whose connection this is.
    public let host: Host
    /// The stack's name for it.
    public let id: ConnectionID
    /// This host's end.
    public let local: Endpoint
    /// The peer's end.
    public let remote: Endpoint

    init(host: Host, id: ConnectionID, local: Endpoint, remote: Endpoint) {
        self.host = host
        self.id = id
        self.local = local
        self.remote = remote
    }

    deinit {
        let id = self.id
        let host = self.host
        host.loop.onLoop { _ in host.here { $0.release(id) } }
    }

    // MARK: Reading

    /// Reads what is there into `buffer`, waiting until there is something.
    ///
    /// - Returns: how many octets were moved, at least one; zero at the end of the stream.
    /// - Throws: `ConnectionError` when the connection has ended otherwise than by the peer's close; `CancellationError`.
    public nonisolated(nonsending) func read(into buffer: inout MutableRawSpan) async throws -> Int {
        precondition(buffer.byteCount > 0, "a read must have room for an octet")
        while host.loop.isCurrent {
            if let count = try host.here({ try $0.readNow(id, into: &buffer) }) { return count }
            try host.here { try $0.checkNotEnded(id) }
            try await host.waitHere(for: .read, at: id)
        }
        return try await host.read(id, into: &buffer)
    }

    /// Reads what is there, waiting until there is something. Holds no memory while it waits.
    ///
    /// - Parameter limit: the most octets to read, at least one.
    /// - Returns: the octets, at least one; `nil` at the end of the stream.
    /// - Throws: as `read(into:)`.
    public nonisolated(nonsending) func read(upTo limit: Int = 65_536) async throws -> [UInt8]? {
        precondition(limit > 0, "a read must have room for an octet")
        while host.loop.isCurrent {
            if let bytes = try host.here({ try $0.readArrayNow(id, upTo: limit) }) {
                return bytes.isEmpty ? nil : bytes
            }
            try host.here { try $0.checkNotEnded(id) }
            try await host.waitHere(for: .read, at: id)
        }
        let bytes = try await host.readArray(id, upTo: limit)
        return bytes.isEmpty ? nil : bytes
    }

    // MARK: Writing

    /// Writes all of `bytes`, waiting for room as often as it takes. When it returns, the octets are queued, not yet
    /// acknowledged.
    ///
    /// - Throws: `ConnectionError` when the connection has ended, or this side has closed; `CancellationError`. Some of the
    ///   octets may have been queued then.
    public nonisolated(nonsending) func write(_ bytes: RawSpan) async throws {
        var offset = 0
        while host.loop.isCurrent, offset < bytes.byteCount {
            let taken = try host.here { try $0.writeNow(id, bytes.extracting(offset..<bytes.byteCount)) }
            offset += taken
            if taken == 0 {
                try host.here { try $0.checkNotEnded(id) }
                try await host.waitHere(for: .write, at: id)
            }
        }
        if offset < bytes.byteCount { try await host.write(id, bytes.extracting(offset..<bytes.byteCount)) }
    }

    /// Writes all of `bytes`; see `write(_:)` above.
    public nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws {
        try await write(bytes.span.bytes)
    }

    // MARK: The end

    /// Closes this side: the peer reads the end of the stream after what was written. Reading goes on.
    ///
    /// - Throws: `ConnectionError` when the connection has ended, or this side is closed already.
    public nonisolated(nonsending) func closeWrite() async throws {
        try await host.closeWrite(id)
    }

    /// Closes both sides and lets go. What was written is still delivered; octets that nobody has read reset the
    /// connection (RFC 9293 SHLD-3). Whoever waits to read or write finds the connection gone.
    public nonisolated(nonsending) func close() async {
        await host.release(id)
    }

    /// Resets the connection: the peer is told, what was queued is dropped.
    public nonisolated(nonsending) func abort() async {
        await host.abort(id)
    }

    /// Waits until the connection is over: both sides closed and everything acknowledged.
    ///
    /// - Throws: `ConnectionError` when it ended otherwise; `CancellationError`.
    public nonisolated(nonsending) func waitUntilEnded() async throws {
        try await host.waitUntilEnded(id)
    }

    // MARK: Looking

    /// What is known of the connection now; `nil` once it is closed and gone.
    public var status: ConnectionStatus? {
        get async { await host.status(of: id) }
    }

    /// What TCP knows of the connection and of its path now, as kernels tell by `TCP_INFO`; `nil` once it is closed and gone.
    public var info: ConnectionInfo? {
        get async { await host.info(of: id) }
    }

    /// Changes the connection's options.
    public nonisolated(nonsending) func setOptions(_ options: ConnectionOptions) async {
        await host.setOptions(id, options)
    }
}
