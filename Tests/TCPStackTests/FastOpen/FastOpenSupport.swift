import TCPEngine
import TCPStack
import TCPWire
import Testing

extension ConnectionOptions {
    /// With TCP Fast Open.
    static var fast: ConnectionOptions {
        var options = ConnectionOptions()
        options.fastOpen = true
        return options
    }

    /// The same, with a limit of those pending.
    static func fast(pending: Int) -> ConnectionOptions {
        var options = ConnectionOptions.fast
        options.fastOpenPending = pending
        return options
    }
}

extension FastOpenCookie {
    /// The octets.
    var octets: [UInt8] { (0..<count).map { self[$0] } }
}

extension ScriptedPeer {
    /// The cookie the stack has for this peer now.
    var cookie: [UInt8] {
        host.stack.fastOpenCookie(client: endpoint.address, server: target.address).octets
    }

    /// Sends a SYN with the option and octets: the numbers stand behind the SYN, not behind what may be ignored.
    func sendSyn(cookie: [UInt8]?, length: Int = 0, extra: TCPFlags = []) {
        let options = synOptions() + (cookie.map { [.fastOpen($0)] } ?? [])
        send([.syn, extra], seq: 0, length: length, options: options)
        next = 1
    }

    /// The next segment, a SYN-ACK that acknowledges that much, and the octets of its cookie; `nil` without the option.
    @discardableResult
    func expectSynAck(
        ack: Int, within: Duration? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) -> [UInt8]? {
        let segment = expect([.syn, .ack], seq: 0, ack: ack, within: within, sourceLocation: sourceLocation)
        agree(stack: segment)
        return segment?.tcp.options.fastOpen?.octets
    }

    /// A SYN with a good cookie and octets, taken by the program.
    func openFast(_ length: Int, sourceLocation: SourceLocation = #_sourceLocation) {
        sendSyn(cookie: cookie, length: length)
        expectSynAck(ack: 1 + length, sourceLocation: sourceLocation)
        next = 1 + length
        accept(sourceLocation: sourceLocation)
    }

    /// Answers the stack's SYN, whose octets up to `ack` were taken, with a cookie if one is given.
    func answer(ack: Int, cookie: [UInt8]? = nil) {
        agree(stack: history.first { $0.flags == .syn })
        send([.syn, .ack], ack: ack, options: synOptions(echo: lastTimestamp) + (cookie.map { [.fastOpen($0)] } ?? []))
    }

    /// Lets the stack's program connect and write at once, before the SYN can leave.
    func connectFast(
        writing count: Int, options: ConnectionOptions = .fast, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        host.isLinkFull = true
        connect(options: options, sourceLocation: sourceLocation)
        if count > 0 { write(count, sourceLocation: sourceLocation) }
        host.isLinkFull = false
        host.settle()
    }

    /// Another client, or server, of the same stack.
    func sibling(port: UInt16, number: Int = 2, stackPort: UInt16 = 80) -> ScriptedPeer {
        let other = ScriptedPeer(
            family, host: host, number: number, port: port, stackPort: stackPort, offer: offer)
        other.listener = listener
        return other
    }

    func expectAudit(sourceLocation: SourceLocation = #_sourceLocation) {
        if let fault = host.stack.audit() { fail("\(fault)", sourceLocation) }
    }
}
