import TCPEngine
package import TCPWire

/// The 128-bit key that a server makes Fast Open cookies with (RFC 7413 §4.1.2). Several servers behind one address need the
/// same. With Linux's `tcp_fastopen_key` it makes the cookies that Linux makes.
public struct FastOpenKey: Hashable, Sendable {
    /// Its first eight octets, the first of them highest.
    public var first: UInt64
    /// The others.
    public var second: UInt64

    /// Makes a key of 128 random bits.
    public init(_ first: UInt64, _ second: UInt64) {
        self.first = first
        self.second = second
    }

    /// The cookie of a client: SipHash-2-4 over both addresses as they stand in the SYN. Nothing is stored of any client.
    func cookie(client: IPAddress, server: IPAddress) -> FastOpenCookie {
        var hash = SipHash(StackSecret(first.byteSwapped, second.byteSwapped))
        guard !client.isIPv4 else {
            hash.add((UInt64(client.ipv4Bits) &<< 32 | UInt64(server.ipv4Bits)).byteSwapped)
            return FastOpenCookie(hash.finish(length: 8).byteSwapped)
        }
        hash.add(client.high.byteSwapped)
        hash.add(client.low.byteSwapped)
        hash.add(server.high.byteSwapped)
        hash.add(server.low.byteSwapped)
        return FastOpenCookie(hash.finish(length: 32).byteSwapped)
    }
}

/// The key in use, and the one before it, whose cookies are still honoured.
struct FastOpenKeys {
    var current: FastOpenKey
    var previous: FastOpenKey?

    init(current: FastOpenKey, previous: FastOpenKey?) {
        self.current = current
        self.previous = previous
    }

    /// The keys of a period, each made of the stack's secret.
    init(_ secret: StackSecret, period: Int64) {
        func key(_ period: Int64) -> FastOpenKey {
            func half(_ number: UInt64) -> UInt64 {
                var hash = SipHash(secret)
                // Told apart from other uses of the secret by their lengths.
                hash.add(6)
                hash.add(UInt64(bitPattern: period))
                hash.add(number)
                return hash.finish(length: 24)
            }
            return FastOpenKey(half(0), half(1))
        }
        current = key(period)
        previous = period > 0 ? key(period &- 1) : nil
    }
}

extension Stack {
    /// Sets the key that Fast Open cookies are made with, and another whose cookies are honoured too. From then on they stay
    /// until they are set again; until then keys are made of the stack's secret, a new one each
    /// `Configuration.fastOpenKeyLifetime`.
    public mutating func setFastOpenKeys(_ current: FastOpenKey, previous: FastOpenKey? = nil) {
        fastOpenKeys = FastOpenKeys(current: current, previous: previous)
    }

    private var keysInForce: FastOpenKeys {
        if let fastOpenKeys { return fastOpenKeys }
        let lifetime = max(configuration.fastOpenKeyLifetime.nanoseconds, 1_000_000_000)
        return FastOpenKeys(secret, period: context.now.nanoseconds / lifetime)
    }

    /// The cookie that a client gets now.
    package func fastOpenCookie(client: IPAddress, server: IPAddress) -> FastOpenCookie {
        keysInForce.current.cookie(client: client, server: server)
    }

    /// The cookie for the remote end of a flow.
    mutating func fastOpenCookie(_ key: FlowKey) -> FastOpenCookie {
        counts.fastOpenCookiesSent &+= 1
        return fastOpenCookie(client: key.remote, server: localAddress(key))
    }

    /// What a SYN's cookie is worth.
    enum FastOpenCookieState {
        case good
        /// Good, but of the key before.
        case old
        case bad
    }

    func check(_ cookie: FastOpenCookie, _ key: FlowKey) -> FastOpenCookieState {
        let keys = keysInForce
        let server = localAddress(key)
        if cookie == keys.current.cookie(client: key.remote, server: server) { return .good }
        return cookie == keys.previous?.cookie(client: key.remote, server: server) ? .old : .bad
    }
}
