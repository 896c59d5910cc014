import TCPEngine
import TCPStack
import TCPWire
import Testing

/// The program on the stack's side.
extension ScriptedPeer {
    /// Writes the next `count` octets of the pattern, and says how many were taken.
    @discardableResult
    func write(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) -> Int {
        let octets = (0..<count).map { writtenOctet(written + 1 + $0) }
        guard let connection else {
            fail("write: there is no connection", sourceLocation)
            return 0
        }
        do {
            let taken = try host.stack.write(connection, octets.span.bytes, at: host.now)
            written += taken
            host.settle()
            return taken
        } catch {
            fail("write(\(count)) threw \(error)", sourceLocation)
            return 0
        }
    }

    /// Writes, and expects that error.
    func expectWrite(_ expected: ConnectionError, sourceLocation: SourceLocation = #_sourceLocation) {
        let octets: [UInt8] = [1, 2, 3]
        do {
            guard let connection else { return fail("there is no connection", sourceLocation) }
            let taken = try host.stack.write(connection, octets.span.bytes, at: host.now)
            fail("expected write to throw \(expected)\n     it took \(taken) octets", sourceLocation)
        } catch {
            if error != expected { fail("expected write to throw \(expected)\n     it threw \(error)", sourceLocation) }
        }
    }

    /// One read of at most `limit` octets.
    func read(_ limit: Int = 65536) throws(ConnectionError) -> (ReadResult, [UInt8]) {
        guard let connection else { throw .notOpen }
        var octets = [UInt8](repeating: 0, count: limit)
        let result: ReadResult
        do {
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            result = try host.stack.read(connection, into: &bytes, at: host.now)
        }
        host.settle()
        if case .bytes(let count) = result { return (result, Array(octets[0..<count])) }
        return (result, [])
    }

    /// Reads all there is, at most `limit` octets, and expects it to be the next `count` octets of the peer's pattern.
    func expectRead(_ count: Int, limit: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
        var octets: [UInt8] = []
        do {
            while octets.count < (limit ?? .max) {
                let (result, some) = try read(min(65536, (limit ?? .max) - octets.count))
                guard case .bytes = result else { break }
                octets += some
            }
        } catch {
            return fail("expected to read \(count) octets\n     read threw \(error)", sourceLocation)
        }
        if octets.count != count {
            fail("expected to read \(count) octets\n     got \(octets.count)", sourceLocation)
        }
        for (index, octet) in octets.enumerated() where octet != self.octet(consumed + 1 + index) {
            fail("the octet at \(consumed + 1 + index) is not what the peer sent", sourceLocation)
            break
        }
        consumed += octets.count
    }

    /// Expects a read to find that result, which is no octets.
    func expectRead(_ expected: ReadResult, sourceLocation: SourceLocation = #_sourceLocation) {
        do {
            let (result, _) = try read()
            if result != expected { fail("expected read to give \(expected)\n     got \(result)", sourceLocation) }
        } catch {
            fail("expected read to give \(expected)\n     it threw \(error)", sourceLocation)
        }
    }

    /// Expects a read to throw.
    func expectRead(_ expected: ConnectionError, sourceLocation: SourceLocation = #_sourceLocation) {
        do {
            let (result, _) = try read()
            fail("expected read to throw \(expected)\n     it gave \(result)", sourceLocation)
        } catch {
            if error != expected { fail("expected read to throw \(expected)\n     it threw \(error)", sourceLocation) }
        }
    }

    func close(sourceLocation: SourceLocation = #_sourceLocation) {
        guard let connection else { return fail("close: there is no connection", sourceLocation) }
        do { try host.stack.close(connection, at: host.now) } catch { fail("close threw \(error)", sourceLocation) }
        host.settle()
    }

    func release() {
        if let connection { host.stack.release(connection, at: host.now) }
        host.settle()
    }

    func abort() {
        if let connection { host.stack.abort(connection, at: host.now) }
        host.settle()
    }

    func setOptions(_ change: (inout ConnectionOptions) -> Void) {
        var options = ConnectionOptions()
        change(&options)
        if let connection { host.stack.setOptions(connection, options, at: host.now) }
        host.settle()
    }

    func listen(
        backlog: Int = 128, options: ConnectionOptions = ConnectionOptions(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        do {
            listener = try host.stack.listen(on: target.port, backlog: backlog, options: options, at: host.now)
        } catch { fail("listen threw \(error)", sourceLocation) }
        host.settle()
    }

    func connect(
        port: UInt16 = 0, options: ConnectionOptions = ConnectionOptions(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        do {
            connection = try host.stack.connect(to: endpoint, port: port, options: options, at: host.now)
        } catch { fail("connect threw \(error)", sourceLocation) }
        host.settle()
    }

    /// Takes the next connection of the listener, which must be this peer's.
    func accept(sourceLocation: SourceLocation = #_sourceLocation) {
        guard let listener, let id = host.stack.accept(listener) else {
            return fail("expected accept to give a connection", sourceLocation)
        }
        connection = id
        host.settle()
        if let remote = host.stack.status(of: id)?.remote, remote != endpoint {
            fail("accept gave the connection of \(remote)", sourceLocation)
        }
    }

    var status: ConnectionStatus? { connection.flatMap { host.stack.status(of: $0) } }

    var info: ConnectionInfo? { connection.flatMap { host.stack.info(of: $0) } }

    /// What has been reported of this connection since the last time, all in one.
    func takeReadiness() -> Readiness {
        var all: Readiness = []
        host.events.removeAll { event in
            guard case .connection(connection, let some) = event else { return false }
            all.formUnion(some)
            return true
        }
        return all
    }
}
