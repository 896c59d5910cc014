public import TCPStack

/// An open port: a sequence of the connections that peers have opened to it.
///
/// The sequence ends when the listener is closed or its host ends. When the last reference goes, the listener is closed.
public final class TCPListener: AsyncSequence, Sendable {
    /// What the sequence gives.
    public typealias Element = TCPConnection

    /// The host whose listener this is.
    public let host: Host
    /// The stack's name for it.
    public let id: ListenerID
    /// The port it listens on.
    public let port: UInt16

    init(host: Host, id: ListenerID, port: UInt16) {
        self.host = host
        self.id = id
        self.port = port
    }

    deinit {
        let id = self.id
        let host = self.host
        host.loop.onLoop { _ in host.here { $0.stopListening(id) } }
    }

    /// Waits for the next connection; `nil` when the listener is closed.
    ///
    /// - Throws: `CancellationError`.
    public nonisolated(nonsending) func accept() async throws -> TCPConnection? {
        try await host.accept(id)
    }

    /// Closes the listener: half-open connections and those not yet accepted are reset, accepted ones live on.
    public nonisolated(nonsending) func close() async {
        await host.stopListening(id)
    }

    /// See `AsyncSequence`.
    public func makeAsyncIterator() -> Iterator { Iterator(listener: self) }

    /// Gives one connection after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let listener: TCPListener

        /// The next connection.
        public mutating func next() async throws -> TCPConnection? { try await listener.accept() }

        /// The next connection.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> TCPConnection? {
            try await listener.accept()
        }
    }
}
