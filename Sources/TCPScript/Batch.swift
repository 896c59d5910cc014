internal import Glibc
internal import Synchronization

/// Runs many scripts, several at a time.
public enum Batch {
    /// Runs the scripts in these files. Every script has a stack of its own, so that it does not matter which of them run together.
    ///
    /// - Parameters:
    ///   - paths: the files.
    ///   - threads: how many run at a time; `nil` is one for each processor.
    ///   - each: is given every report, in the order of `paths`, as soon as it and those before it are there. It is called
    ///     by one thread at a time.
    public static func run(
        _ paths: [String], options: Runner.Options = Runner.Options(), threads: Int? = nil,
        each: @escaping @Sendable (Report) -> Void
    ) {
        let work = Work(paths: paths, options: options, each: each)
        let count = max(1, min(threads ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), paths.count))
        var helpers: [pthread_t] = []
        for _ in 1..<count {
            var helper = pthread_t()
            let context = Unmanaged.passRetained(work).toOpaque()
            let code = pthread_create(
                &helper, nil,
                { context in
                    Unmanaged<Work>.fromOpaque(context!).takeRetainedValue().run()
                    return nil
                }, context)
            // Fewer threads take longer and do the same.
            guard code == 0 else {
                Unmanaged<Work>.fromOpaque(context).release()
                break
            }
            helpers.append(helper)
        }
        work.run()
        for helper in helpers { pthread_join(helper, nil) }
    }

    /// Reads a file and runs the script in it.
    public static func run(_ path: String, options: Runner.Options = Runner.Options()) -> Report {
        do throws(ScriptFiles.Fault) {
            return Runner.run(try ScriptFiles.read(path), name: path, options: options)
        } catch {
            return Report(
                file: path,
                outcome: .failed(
                    .init(position: SourcePosition(line: 1, column: 1), reason: error.description, expected: "")))
        }
    }

    /// What the threads share.
    private final class Work: Sendable {
        private struct Progress {
            var next = 0
            var delivered = 0
            var reports: [Int: Report] = [:]
        }

        private let paths: [String]
        private let options: Runner.Options
        private let each: @Sendable (Report) -> Void
        private let progress = Mutex(Progress())

        init(paths: [String], options: Runner.Options, each: @escaping @Sendable (Report) -> Void) {
            self.paths = paths
            self.options = options
            self.each = each
        }

        func run() {
            while let index = claim() {
                let report = Batch.run(paths[index], options: options)
                progress.withLock { progress in
                    progress.reports[index] = report
                    while let ready = progress.reports.removeValue(forKey: progress.delivered) {
                        each(ready)
                        progress.delivered += 1
                    }
                }
            }
        }

        private func claim() -> Int? {
            progress.withLock { progress in
                guard progress.next < paths.count else { return nil }
                defer { progress.next += 1 }
                return progress.next
            }
        }
    }
}
