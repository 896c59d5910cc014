internal import Glibc
internal import Synchronization

/// Work in parts that have nothing to do with each other, several at a time.
enum Parallel {
    /// The processors there are.
    static var processors: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Does `part` for every number below `count`, on at most `threads` threads, and gives each result to `each` in the order
    /// of the numbers, as soon as it and those before it are there; one thread at a time.
    static func run<Result: Sendable>(
        _ count: Int, threads: Int, part: @escaping @Sendable (Int) -> Result,
        each: @escaping @Sendable (Int, Result) -> Void
    ) {
        let work = Work(count: count, part: part, each: each)
        // A thread's entry point has no type parameters: it is given a closure.
        let body = Body { work.run() }
        var helpers: [pthread_t] = []
        for _ in 1..<max(1, min(threads, count)) {
            var helper = pthread_t()
            let context = Unmanaged.passRetained(body).toOpaque()
            let code = pthread_create(
                &helper, nil,
                { context in
                    Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
                    return nil
                }, context)
            // Fewer threads take longer and do the same.
            guard code == 0 else {
                Unmanaged<Body>.fromOpaque(context).release()
                break
            }
            helpers.append(helper)
        }
        work.run()
        for helper in helpers { pthread_join(helper, nil) }
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// What the threads share.
    private final class Work<Result: Sendable>: Sendable {
        private struct Progress {
            var next = 0
            var delivered = 0
            var results: [Int: Result] = [:]
        }

        private let count: Int
        private let part: @Sendable (Int) -> Result
        private let each: @Sendable (Int, Result) -> Void
        private let progress = Mutex(Progress())

        init(count: Int, part: @escaping @Sendable (Int) -> Result, each: @escaping @Sendable (Int, Result) -> Void) {
            self.count = count
            self.part = part
            self.each = each
        }

        func run() {
            while let index = claim() {
                let result = part(index)
                progress.withLock { progress in
                    progress.results[index] = result
                    while let ready = progress.results.removeValue(forKey: progress.delivered) {
                        each(progress.delivered, ready)
                        progress.delivered += 1
                    }
                }
            }
        }

        private func claim() -> Int? {
            progress.withLock { progress in
                guard progress.next < count else { return nil }
                defer { progress.next += 1 }
                return progress.next
            }
        }
    }
}
